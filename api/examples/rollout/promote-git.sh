#!/bin/sh
# Makes the new version the stable one by a commit, for clusters that follow a repository.
# The lines of MANIFEST that end in `# stable` get its image:
#
#   image: registry/reviews:v1  # stable
#
#   REPOSITORY=git@host:deploy.git MANIFEST=reviews.yaml WAIT='kubectl … rollout status …' \
#     skygate rollout run -f rollout.yaml --image registry/reviews:v2 --on-promote ./promote-git.sh
#
# Run again it commits nothing, and waits again. The weights return to the stable subset once this exits with 0:
# so WAIT has to end only when the cluster has what the commit says.
#
#   REPOSITORY  where to push to
#   BRANCH      which branch; `main` unless it is set
#   MANIFEST    the file in it
#   WAIT        a command for sh; there is none unless it is set
set -eu

: "${SKYGATE_ROLLOUT_IMAGE:?there is no image: give --image to skygate rollout run}"
: "${REPOSITORY:?it says where to push to}"
: "${MANIFEST:?it says which file has the image}"
branch=${BRANCH:-main}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Whoever pushed in between goes first.
try=1
while :; do
    rm -rf "$folder/repository"
    git clone --quiet --depth 1 --branch "$branch" "$REPOSITORY" "$folder/repository"
    cd "$folder/repository"
    if ! grep -q '# stable$' "$MANIFEST"; then
        echo "no line of $MANIFEST ends in '# stable'" >&2
        exit 1
    fi
    awk '/# stable$/ && match($0, /image: *[^ ]+/) {
        $0 = substr($0, 1, RSTART - 1) "image: " ENVIRON["SKYGATE_ROLLOUT_IMAGE"] substr($0, RSTART + RLENGTH)
    } { print }' \
        "$MANIFEST" >"$folder/manifest"
    cat "$folder/manifest" >"$MANIFEST"
    if git diff --quiet; then
        echo "$branch has $SKYGATE_ROLLOUT_IMAGE already"
        break
    fi
    git commit --quiet --all \
        --message "$SKYGATE_ROLLOUT_NAME: $SKYGATE_ROLLOUT_REVISION is the stable version" \
        --message "Rollout: $SKYGATE_ROLLOUT_KEY"
    if git push --quiet origin "HEAD:$branch"; then
        echo "$branch has $SKYGATE_ROLLOUT_IMAGE now"
        break
    fi
    cd /
    [ "$try" -lt 5 ] || exit 1
    try=$((try + 1))
done

if [ -n "${WAIT:-}" ]; then
    sh -c "$WAIT"
fi

#!/bin/sh
# Makes the new version the stable one: the Deployment behind the stable subset gets its image, and is waited for.
#
#   skygate rollout run -f rollout.yaml --image registry/reviews:v2 --on-promote ./promote-kubectl.sh
#
# Run again it changes nothing and succeeds again. The weights return to the stable subset once this exits with 0.
#
#   DEPLOYMENT  the stable Deployment; `ROLLOUT-stable` unless it is set
#   CONTAINER   its container; `*`, all of them, unless it is set
#   WITHIN      how long its pods may take; less than --on-promote-timeout
set -eu

: "${SKYGATE_ROLLOUT_IMAGE:?there is no image: give --image to skygate rollout run}"
deployment="deployment/${DEPLOYMENT:-$SKYGATE_ROLLOUT_NAME-stable}"

kubectl --namespace "$SKYGATE_ROLLOUT_NAMESPACE" set image "$deployment" "${CONTAINER:-*}=$SKYGATE_ROLLOUT_IMAGE"
kubectl --namespace "$SKYGATE_ROLLOUT_NAMESPACE" rollout status "$deployment" --timeout="${WITHIN:-8m}"
echo "$deployment runs $SKYGATE_ROLLOUT_IMAGE"

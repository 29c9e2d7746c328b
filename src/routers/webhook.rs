//! The router for everything else: weights as a POST to a URL, signed as Standard Webhooks has it.
//!
//! ```text
//! POST …
//! webhook-id: msg_…          the same for the same change, however often it is sent
//! webhook-timestamp: 1764…   seconds; of this try
//! webhook-signature: v1,…    HMAC-SHA256 of `id.timestamp.body`, one for each key
//!
//! {"type":"rollout.weights","namespace":"bookinfo","rollout":"reviews","revision":"v2","step":3,"change":5,"fence":7,
//!  "weights":{"stable":80,"canary":20}}
//! ```
//!
//! Any 2xx means done. 409 means that the receiver has seen a higher `fence` for this rollout; `{"fence": 9}` may say which.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::domain::routes::Owner;
use crate::ports::{Clock, Observed, RouterError, Shift, Shifted, TrafficRouter};
use crate::webhook::{Answer, Sender, WebhookError, message_id};

pub use crate::webhook::{SigningKeys, WebhookOptions};

/// Sends the weights to a URL.
pub struct WebhookRouter {
    owner: Owner,
    sender: Sender,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for WebhookRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookRouter({})", self.sender.shown())
    }
}

impl From<WebhookError> for RouterError {
    fn from(WebhookError(what): WebhookError) -> Self {
        Self::Invalid(what)
    }
}

impl WebhookRouter {
    /// A router of `owner`'s traffic.
    pub fn new(
        owner: Owner,
        options: WebhookOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RouterError> {
        let sender = Sender::new(options, clock.as_ref())?;
        Ok(Self {
            owner,
            sender,
            clock,
        })
    }

    fn body(&self, shift: &Shift) -> Value {
        json!({
            "type": "rollout.weights",
            "namespace": self.owner.namespace,
            "rollout": self.owner.name,
            "revision": shift.revision,
            "step": shift.step,
            "change": shift.change,
            "fence": shift.fence,
            "weights": {
                "stable": shift.canary.rest().percent(),
                "canary": shift.canary.percent(),
            },
        })
    }

    /// What the receiver knows a change by: it is the same whenever the same lease sends the same change.
    fn id(&self, shift: &Shift) -> String {
        message_id(&format!(
            "{}\n{}\n{}\n{}",
            self.owner, shift.fence, shift.change, shift.canary
        ))
    }

    fn refused(&self, answer: Answer) -> RouterError {
        let Answer {
            status,
            after,
            said,
            shown: answered,
        } = answer;
        match status.as_u16() {
            409 => {
                let found = serde_json::from_str(&said).ok();
                let found = found.and_then(|answer: Value| answer.get("fence")?.as_u64());
                RouterError::Fenced {
                    what: format!(
                        "{answered}; a newer stepper of `{}` has been there",
                        self.owner
                    ),
                    found,
                }
            }
            408 | 425 | 429 | 500.. => RouterError::Unreachable {
                what: answered,
                after,
            },
            300..=399 => RouterError::Invalid(format!(
                "{answered}; redirects are not followed, so give the address that really serves"
            )),
            401 | 403 => RouterError::Forbidden {
                what: format!(
                    "{answered}; the secret here and there may differ, or credentials be missing from the URL"
                ),
                allow: None,
            },
            404 | 410 => RouterError::NotFound(answered),
            _ => RouterError::Invalid(answered),
        }
    }
}

#[async_trait]
impl TrafficRouter for WebhookRouter {
    /// A webhook is told, not asked.
    async fn observe(&self) -> Result<Observed, RouterError> {
        Ok(Observed::default())
    }

    /// Tries once. Whoever wants the shift tries again, unless another one is wanted by then.
    async fn set(&self, shift: &Shift) -> Result<Shifted, RouterError> {
        let (id, body) = (self.id(shift), self.body(shift));
        let answer = self.sender.post(&id, self.clock.now(), &body).await;
        let answer = answer.map_err(|what| RouterError::Unreachable { what, after: None })?;
        if answer.status.is_success() {
            return Ok(Shifted::Written);
        }
        Err(self.refused(answer))
    }
}

//! The hook that is a URL: a signed POST, as the webhook router's.
//!
//! ```text
//! {"type":"rollout.promote","namespace":"bookinfo","rollout":"reviews","revision":"v2","image":null,"number":2,"try":1,
//!  "key":"rollout/bookinfo/reviews/2/…","fence":7}
//! ```
//!
//! Any 2xx means done. Every try of the same promotion has the same `webhook-id`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::ports::{Clock, Hook, HookAnswer, HookCall};
use crate::webhook::{Sender, WebhookError, WebhookOptions, message_id};

/// Posts to a URL.
pub struct UrlHook {
    sender: Sender,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for UrlHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UrlHook({})", self.sender.shown())
    }
}

impl UrlHook {
    /// A hook by these options.
    pub fn new(options: WebhookOptions, clock: Arc<dyn Clock>) -> Result<Self, WebhookError> {
        let sender = Sender::new(options, clock.as_ref())?;
        Ok(Self { sender, clock })
    }
}

#[async_trait]
impl Hook for UrlHook {
    async fn run(&self, call: &HookCall) -> HookAnswer {
        let id = message_id(&call.key);
        let answer = self.sender.post(&id, self.clock.now(), &body(call)).await;
        match answer {
            Ok(answer) => HookAnswer {
                is_success: answer.status.is_success(),
                output: answer.shown,
            },
            Err(why) => HookAnswer {
                is_success: false,
                output: why,
            },
        }
    }
}

fn body(call: &HookCall) -> Value {
    json!({
        "type": "rollout.promote",
        "namespace": call.namespace,
        "rollout": call.rollout,
        "revision": call.version,
        "image": call.image,
        "number": call.revision,
        "try": call.number,
        "key": call.key,
        "fence": call.fence,
    })
}

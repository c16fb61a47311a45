//! What the file says of the services by now, on its way to the loop.
//!
//! A level and not a queue: the loop reads what is true when it looks.

use std::{collections::BTreeMap, sync::Arc};

use phalanx_config::{Replicas, ServiceName};
use tokio::sync::watch;

type Said = BTreeMap<ServiceName, Replicas>;

/// Tells an [`Autoscaler`](crate::Autoscaler) what the file says by now.
#[derive(Clone, Debug)]
pub struct AutoscalerHandle(Arc<watch::Sender<Said>>);

impl AutoscalerHandle {
    pub(super) fn new<'a>(services: impl IntoIterator<Item = (&'a ServiceName, &'a Replicas)>) -> Self {
        let said = services.into_iter().map(|(name, replicas)| (name.clone(), replicas.clone()));
        Self(Arc::new(watch::Sender::new(said.collect())))
    }

    /// From the next look on, which is soon, this service is scaled as `replicas` says, or not at all.
    pub fn replace(&self, service: &ServiceName, replicas: &Replicas) {
        self.0.send_modify(|said| {
            said.insert(service.clone(), replicas.clone());
        });
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Said> {
        self.0.subscribe()
    }

    pub(super) fn said(&self) -> watch::Ref<'_, Said> {
        self.0.borrow()
    }
}

//! The probes of one run that are under way, and what the last ones found.

use std::{collections::BTreeMap, future, sync::Arc};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};

use super::{ProbeError, Target, probe};
use crate::{
    life::{Answer, ProbeKind},
    notice,
};

/// What the last probe of each kind found, where it was not what it wanted.
pub(crate) type LastAnswers = BTreeMap<ProbeKind, ProbeError>;

/// The probes of one run. None waits for another.
pub(crate) struct Probing {
    target: Arc<Target>,
    /// At most one of each kind: a life asks again when it has the answer.
    under_way: FuturesUnordered<BoxFuture<'static, (ProbeKind, Result<(), ProbeError>)>>,
    last_answers: LastAnswers,
}

impl Probing {
    pub(crate) fn new(target: Target) -> Self {
        let under_way = FuturesUnordered::new();
        Self { target: Arc::new(target), under_way, last_answers: LastAnswers::new() }
    }

    pub(crate) fn last_answers(&self) -> &LastAnswers {
        &self.last_answers
    }

    pub(crate) fn begin(&mut self, kind: ProbeKind) {
        let target = Arc::clone(&self.target);
        self.under_way.push(Box::pin(async move {
            let answer = probe(&target, target.template.rules.probe(kind)).await;
            (kind, answer)
        }));
    }

    /// Waits for the answer to one of them; `None`: it could not be made. Cancel-safe.
    pub(crate) async fn answered(&mut self) -> (ProbeKind, Option<Answer>) {
        match self.under_way.next().await {
            Some((kind, answer)) => (kind, self.note(kind, answer)),
            None => future::pending().await,
        }
    }

    fn note(&mut self, kind: ProbeKind, answer: Result<(), ProbeError>) -> Option<Answer> {
        let Err(error) = answer else {
            self.last_answers.remove(&kind);
            return Some(Answer::Good);
        };
        let answer = error.answer();
        let before = self.last_answers.insert(kind, error);
        // Told once, since the next probe meets the same want.
        if answer.is_none() && before.is_none_or(|before| before.answer().is_some()) {
            notice::unasked(&self.target, kind, &self.last_answers[&kind]);
        }
        answer
    }

    /// Ends what is under way, with the programs that it runs.
    pub(crate) async fn end(mut self) {
        self.target.over.cancel();
        while self.under_way.next().await.is_some() {}
    }
}

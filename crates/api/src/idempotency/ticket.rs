//! The right to carry out the request of a key, and what becomes of its outcome.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    IdempotencyError,
    answer::StoredAnswer,
    row::{Holder, KeyRow},
    sealed::RowKeys,
};
use crate::{accounts::AccountId, problem::Problem};

/// The attempt at a request that counts. Dropped, it leaves its key to others after a while.
pub(crate) struct Ticket {
    pub(super) row: KeyRow,
    pub(super) keys: RowKeys,
    pub(super) holder: Holder,
    pub(super) account_id: AccountId,
}

impl Ticket {
    /// The id that the account is to have.
    pub(crate) fn account_id(&self) -> AccountId {
        self.account_id
    }

    /// Stores what the request came to, and answers it then. What another attempt may come to otherwise is not stored, and the key is
    /// given back.
    pub(crate) async fn settle(self, outcome: Result<Response, Problem>) -> Result<Response, Problem> {
        match outcome {
            Ok(response) => self.complete(response).await,
            Err(problem) if is_final(problem.status()) => self.complete(problem.into_response()).await,
            Err(problem) => {
                self.give_back().await;
                Err(problem)
            }
        }
    }

    async fn complete(self, response: Response) -> Result<Response, Problem> {
        let answer = StoredAnswer::of(response).await.map_err(IdempotencyError::from)?;
        let sealed = self.keys.seal(answer.encode().map_err(IdempotencyError::from)?);
        let is_stored = self.row.complete(self.holder, sealed).await?;
        // Somebody took this attempt for dead, and his answer counts.
        if is_stored { Ok(answer.into_response()) } else { Err(Problem::KeyInUse) }
    }

    async fn give_back(self) {
        if let Err(error) = self.row.take_over(self.holder, Holder::NOBODY).await {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(error, "a key was not given back; it is free when its claim is old");
        }
    }
}

/// Whether every attempt would come to the same: what fails for want of something need not.
fn is_final(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}

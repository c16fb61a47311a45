//! `GET` and `PATCH /api/users/{id}`: anybody's account.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    response::IntoResponse,
};
use phalanx_auth::{Role, audit::Event};
use serde::Serialize;
use utoipa::ToSchema;

use super::{NO_STORE, accounts::ListedUser};
use crate::{
    access::Caller,
    accounts::{AccountId, Changed, Standing},
    body::{Fields, JsonObject},
    client::Client,
    document::AccountChangeBody,
    positions::Seen,
    problem::Problem,
    service::Service,
};

/// An account as anybody sees it: no address, no role.
#[derive(Serialize, ToSchema)]
pub(crate) struct PublicUser {
    #[schema(example = "4611686018427387905", pattern = "^[1-9][0-9]{0,18}$")]
    id: String,
    #[schema(example = "Ada")]
    name: String,
}

/// Anybody's account, without a token.
#[utoipa::path(
    get,
    path = "/api/users/{id}",
    tag = "accounts",
    params(("id" = String, Path, description = "The id of an account.", example = "4611686018427387905")),
    responses(
        (status = 200, description = "The account.", body = PublicUser),
        (status = 404, description = "No account has this id."),
    ),
)]
pub(crate) async fn show(
    State(service): State<Arc<Service>>,
    seen: Seen,
    id: Result<Path<String>, PathRejection>,
) -> Result<impl IntoResponse, Problem> {
    // What cannot be an id is an account that does not exist.
    let id = id.ok().and_then(|Path(text)| AccountId::parse(&text)).ok_or(Problem::NotFound)?;
    let account = service.accounts.by_id(id, &seen.consistency()).await?.ok_or(Problem::NotFound)?;
    Ok((NO_STORE, Json(PublicUser { id: account.id.to_string(), name: account.name.as_str().to_owned() })))
}

/// Gives an account another role, or disables it, or enables it again. Its tokens end, so that the next ones say what is true.
#[utoipa::path(
    patch,
    path = "/api/users/{id}",
    tag = "accounts",
    params(("id" = String, Path, description = "The id of an account.", example = "4611686018427387905")),
    request_body = AccountChangeBody,
    responses(
        (status = 200, description = "The account as it is from now on, at every replica.", body = ListedUser),
        (status = 404, description = "No account has this id."),
    ),
)]
pub(crate) async fn change(
    State(service): State<Arc<Service>>,
    client: Client,
    caller: Caller,
    seen: Seen,
    id: Result<Path<String>, PathRejection>,
    body: JsonObject,
) -> Result<impl IntoResponse, Problem> {
    let id = id.ok().and_then(|Path(text)| AccountId::parse(&text)).ok_or(Problem::NotFound)?;
    let change = Change::read(body.fields(), id, caller.account)?;
    let work = Arc::clone(&service);
    let changing = async move { work.change_account(id, change, &caller, &client).await };
    let Changed { account, wrote } = service.endings.carry_out(changing).await?;
    Ok((NO_STORE, service.positions.headers(seen, &wrote), Json(ListedUser::from(&account))))
}

impl Service {
    async fn change_account(
        &self,
        id: AccountId,
        Change { role, standing }: Change,
        caller: &Caller,
        client: &Client,
    ) -> Result<Changed, Problem> {
        let (account, by) = (&id.to_string(), &caller.account.to_string());
        let mut outcome = None;
        let mut wrote = self.accounts.wrote(Vec::new());
        if let Some(role) = role {
            let changed = self.accounts.set_role(id, role).await?.ok_or(Problem::NotFound)?;
            Event::RoleChanged { account, role: role.as_str(), by }.record(Some(client.address));
            wrote.absorb(changed.wrote);
            outcome = Some(changed.account);
        }
        if let Some(standing) = standing {
            let changed = self.accounts.set_standing(id, standing).await?.ok_or(Problem::NotFound)?;
            let event = match standing {
                Standing::Active => Event::AccountEnabled { account, by },
                Standing::Disabled => Event::AccountDisabled { account, by },
            };
            event.record(Some(client.address));
            wrote.absorb(changed.wrote);
            outcome = Some(changed.account);
        }
        let account = outcome.expect("a change changes something");
        match account.standing {
            Standing::Active => self.end_tokens(&account).await?,
            Standing::Disabled => {
                let ended = self.end_logins(&account).await?;
                ended.told?;
                wrote.positions.extend(ended.position);
            }
        }
        Ok(Changed { account, wrote })
    }
}

/// What an admin wants to be different: one of both at least.
struct Change {
    role: Option<Role>,
    standing: Option<Standing>,
}

impl Change {
    fn read(mut fields: Fields, id: AccountId, caller: AccountId) -> Result<Self, Problem> {
        let role = fields.optional_text("role", |text| Role::of(&text).ok_or("must be `user` or `admin`"));
        let disabled = fields.optional_flag("disabled");
        if let (Some(None), Some(None)) = (role, disabled) {
            fields.fault("", "must have `role` or `disabled`");
        }
        if id == caller {
            // Whoever is the last admin could not undo it.
            fields.fault("", "must be about another account than the caller's");
        }
        let (role, disabled) = fields.finish(role.zip(disabled))?;
        let standing = |disabled| if disabled { Standing::Disabled } else { Standing::Active };
        Ok(Self { role, standing: disabled.map(standing) })
    }
}

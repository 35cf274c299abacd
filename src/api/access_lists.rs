//! Who may become a user: invitations and the allow-list, for admins.

use moltworker_core::api::users::{AllowList, InvitationList};
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::users::AllowListEntry;

use crate::api::context::Context;
use crate::http::error::{Error, Result, directory_unavailable};
use crate::platform::clock;
use crate::platform::database::{self, Rows, d1_timestamp};

/// All invitations.
pub(super) async fn invitations(ctx: &Context<'_>) -> Result<InvitationList> {
    let read = async {
        database::open(ctx.env)?
            .prepare("SELECT entry, invited_by, invited_at, used_by, used_at FROM invitations ORDER BY entry")
            .rows()
            .await
    };
    let invitations = read.await.map_err(directory_unavailable)?;
    Ok(InvitationList { invitations })
}

/// The allow-list, without the operator's part of it.
pub(super) async fn allow_list(ctx: &Context<'_>) -> Result<AllowList> {
    let read = async {
        database::open(ctx.env)?
            .prepare("SELECT entry, added_by, added_at FROM allow_list ORDER BY entry")
            .rows()
            .await
    };
    let allow_list = read.await.map_err(directory_unavailable)?;
    Ok(AllowList { allow_list })
}

/// Invites somebody.
pub(super) async fn invite(ctx: &Context<'_>, entry: AllowListEntry) -> Result<InvitationList> {
    let entry = one_person(entry)?;
    let statement = "INSERT INTO invitations (entry, invited_by, invited_at) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (entry) DO NOTHING";
    add(ctx, statement, &entry).await?;
    invitations(ctx).await
}

/// Takes an invitation back.
pub(super) async fn uninvite(ctx: &Context<'_>, entry: AllowListEntry) -> Result<InvitationList> {
    let entry = one_person(entry)?;
    remove(ctx, "DELETE FROM invitations WHERE entry = ?1", &entry).await?;
    invitations(ctx).await
}

/// Adds to the allow-list.
pub(super) async fn allow(ctx: &Context<'_>, entry: AllowListEntry) -> Result<AllowList> {
    let statement = "INSERT INTO allow_list (entry, added_by, added_at) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (entry) DO NOTHING";
    add(ctx, statement, &entry).await?;
    allow_list(ctx).await
}

/// Takes from the allow-list.
pub(super) async fn disallow(ctx: &Context<'_>, entry: AllowListEntry) -> Result<AllowList> {
    remove(ctx, "DELETE FROM allow_list WHERE entry = ?1", &entry).await?;
    allow_list(ctx).await
}

fn one_person(entry: AllowListEntry) -> Result<AllowListEntry> {
    let checked = entry.one_person();
    checked.map_err(|many| Error::detailed(Refusal::BadRequest, many.to_string()))
}

/// `?1` is the entry, `?2` the admin and `?3` the time.
async fn add(ctx: &Context<'_>, statement: &str, entry: &AllowListEntry) -> Result<()> {
    let admin = ctx.admin()?.to_string();
    let bindings = [
        entry.to_string().into(),
        admin.into(),
        d1_timestamp(clock::now_ms()),
    ];
    change(ctx, statement, entry, &bindings).await
}

/// `?1` is the entry.
async fn remove(ctx: &Context<'_>, statement: &str, entry: &AllowListEntry) -> Result<()> {
    change(ctx, statement, entry, &[entry.to_string().into()]).await
}

async fn change(
    ctx: &Context<'_>,
    statement: &str,
    entry: &AllowListEntry,
    bindings: &[worker::wasm_bindgen::JsValue],
) -> Result<()> {
    ctx.audit.note(entry.to_string());
    ctx.audit.begin().await;
    let write = async {
        let statement = database::open(ctx.env)?.prepare(statement).bind(bindings)?;
        statement.run().await
    };
    write.await.map_err(directory_unavailable)?;
    Ok(())
}

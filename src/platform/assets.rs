//! The static files that are deployed with the Worker.

use moltworker_core::settings::ASSETS_BINDING;
use worker::{Env, Response, Result};

/// The host of these addresses means nothing: the platform goes by the path.
const ANY_HOST: &str = "https://assets.invalid";

/// The file at this path, if there is one; none where no files are bound.
///
/// # Errors
/// The platform's.
pub(crate) async fn read(env: &Env, path: &str) -> Result<Option<Response>> {
    let Ok(assets) = env.assets(ASSETS_BINDING) else {
        return Ok(None);
    };
    let answer = assets.fetch(format!("{ANY_HOST}{path}"), None).await?;
    Ok((answer.status_code() == 200).then_some(answer))
}

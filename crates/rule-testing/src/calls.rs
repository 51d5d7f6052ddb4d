//! The calls that a rule makes for one finding.

use remediation::{Finding, Guard, Result, Rule};

/// Does with one finding what a poll in mode apply does: a look; where something has to change, the guard, unless it is
/// off; and, unless the guard holds, the writes and the look that proves them.
///
/// # Errors
///
/// The call that failed.
pub async fn poll<R: Rule>(
    client: &R::Client,
    finding: &Finding,
    controls: &[R::Control],
    settings: &R::Settings,
) -> Result<()> {
    let seen = R::look(client, finding).await?;
    let changes = R::plan(&seen, &controls.iter().collect::<Vec<_>>(), settings).changes;
    if changes.is_empty() {
        return Ok(());
    }
    let guard = R::guard(settings);
    if guard.is_on() && !R::impact(client, &seen, &changes, settings).await?.is_empty() && guard == Guard::Hold {
        return Ok(());
    }
    for change in &changes {
        R::apply(client, &seen.resource, change).await?;
    }
    R::look(client, finding).await.map(drop)
}

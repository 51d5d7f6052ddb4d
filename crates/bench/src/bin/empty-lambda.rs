//! A Lambda that only starts the runtime: beside its start, those of the others are measured.

use lambda_runtime::{LambdaEvent, run, service_fn};
use serde_json::Value;

fn main() -> Result<(), lambda_runtime::Error> {
    // One thread, as the others have.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = service_fn(async |event: LambdaEvent<Value>| Ok::<_, std::convert::Infallible>(event.payload));
    runtime.block_on(run(answer))
}

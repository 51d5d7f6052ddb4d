//! Batches and reports in a folder.

use std::fs::File;
use std::time::SystemTime;

use remediation::{Region, RunId};
use tempfile::TempDir;

use super::*;

const RULE: &str = "open-door";
const AGE: Duration = Duration::from_secs(1_800);

fn finding(resource: &str, control: &str) -> Finding {
    Finding {
        control: control.into(),
        account: "222222222222".parse().unwrap(),
        region: Region::code("us-east-1"),
        resource: resource.into(),
        first_seen: None,
        last_scanned: None,
    }
}

struct Bucket(TempDir);

impl Bucket {
    fn records(&self) -> Records {
        Records::Folder(self.0.path().into())
    }

    /// Stores a batch of a run that began so long ago, when that run began.
    async fn batch(&self, resource: &str, ago: Duration) -> BatchId {
        let began = before(ambient::now(), ago);
        let run = RunId::earliest(began);
        let id = BatchId { rule: RULE.into(), run, batch: 1 };
        let batch = Batch::new(id.clone(), vec![finding(resource, "doors")]);
        self.records().put_new(&id.findings_key(), batch.to_stored().unwrap()).await.unwrap();
        self.age(&id, ago);
        id
    }

    fn age(&self, id: &BatchId, ago: Duration) {
        let file = File::options().append(true).open(self.0.path().join(id.findings_key())).unwrap();
        file.set_modified(SystemTime::now() - ago).unwrap();
    }

    async fn report(&self, key: &str) {
        self.records().put_new(key, b"{}".to_vec()).await.unwrap();
    }

    async fn has(&self, resource: &str) -> bool {
        let under_way = UnderWay::find(&self.records(), RULE, AGE).await.unwrap();
        assert!(!under_way.has(&Finding { account: "333333333333".parse().unwrap(), ..finding(resource, "doors") }));
        assert!(!under_way.has(&Finding { region: Region::global(), ..finding(resource, "doors") }));
        // Of whatever control.
        let both = [under_way.has(&finding(resource, "doors")), under_way.has(&finding(resource, "windows"))];
        assert_eq!(both[0], both[1]);
        both[0]
    }
}

fn bucket() -> Bucket {
    Bucket(TempDir::new().unwrap())
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_batch_is_under_way_until_its_report_is_there() {
    let bucket = bucket();
    assert!(!bucket.has("a").await);
    let id = bucket.batch("a", 5 * MINUTE).await;
    let other = bucket.batch("b", 4 * MINUTE).await;
    assert!(bucket.has("a").await && bucket.has("b").await && !bucket.has("c").await);
    bucket.report(&id.report_key()).await;
    assert!(!bucket.has("a").await && bucket.has("b").await);
    // The report of a second try.
    bucket.report(&other.report_key().replace(".json", ".2.json")).await;
    assert!(!bucket.has("b").await);
}

#[tokio::test]
async fn the_report_of_another_batch_ends_nothing() {
    let bucket = bucket();
    let id = bucket.batch("a", 5 * MINUTE).await;
    for other in [BatchId { batch: 11, ..id.clone() }, BatchId { run: RunId::start(), ..id.clone() }] {
        bucket.report(&other.report_key()).await;
    }
    bucket.report(&id.report_key().replace(RULE, "open-doors")).await;
    assert!(bucket.has("a").await);
}

#[tokio::test]
async fn what_nobody_can_be_at_work_on_any_more_is_handed_on_again() {
    let bucket = bucket();
    let lasts = AGE + LAMBDA;
    let id = bucket.batch("a", lasts - MINUTE).await;
    assert!(bucket.has("a").await);
    bucket.age(&id, lasts + MINUTE);
    assert!(!bucket.has("a").await);
    // Long after its run began, which stored it as its last.
    let id = bucket.batch("b", lasts + LAMBDA - MINUTE).await;
    bucket.age(&id, lasts - MINUTE);
    assert!(bucket.has("b").await);
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_holds_nothing_back() {
    let bucket = bucket();
    let id = bucket.batch("a", 5 * MINUTE).await;
    bucket.batch("b", 4 * MINUTE).await;
    std::fs::write(bucket.0.path().join(id.findings_key()), "no batch").unwrap();
    assert!(!bucket.has("a").await && bucket.has("b").await);
}

//! How a VPC stands, and whether its traffic is recorded.
//!
//! That a flow log exists shows little: its status is `ACTIVE` whatever happens, and that of the delivery is `SUCCESS`
//! until AWS has tried to deliver something and failed, minutes later. So of its own flow logs the rule asks for more
//! ([`Vpc::judge`]): something of a network interface has arrived in the log group since the flow log was made. Until
//! then, it is not proved. A VPC of which no network interface is in use has nothing to record; there, a flow log for
//! which no failure has shown after [`DUE_AFTER`] is all that can be had.
//!
//! A bucket can be anybody's, and what is in it is not ours to read. EC2 makes no flow log to a bucket that is not there or
//! that does not let it write, so that much is proved when one is made; and after [`DUE_AFTER`], with an interface in use,
//! `SUCCESS` is of a delivery that AWS has tried.
//!
//! Where other people's flow logs deliver to is not ours to read: of those, one that has not failed is enough.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use remediation::Proposal;

use crate::Change;

/// After so long a flow log has delivered something, or its failure shows: records are gathered for ten minutes, and
/// CloudWatch Logs has them some five minutes later; a bucket gets a file every five minutes.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-basics.html>
/// <https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3.html>
const DUE_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// Failures that are CloudWatch Logs' own, and that end by themselves.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_FlowLog.html>
const PASSING: [&str; 2] = ["Rate limited", "Unknown error"];

/// What a bucket must do that a flow log delivers to.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html>
pub(crate) const LETS_IN: &str = "its policy, and that of a KMS key that encrypts it, must let \
    delivery.logs.amazonaws.com write there for this account";

/// How a VPC stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vpc {
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) flow_logs: Vec<FlowLog>,
    /// The name of the log group of the rule's own flow log.
    pub(crate) log_group: String,
    /// The retention that this log group has; none where it has none, or is not there.
    pub(crate) retention_days: Option<i32>,
    /// When something of a network interface last arrived in it, if that matters.
    pub(crate) last_delivery: Option<Timestamp>,
    /// Whether a network interface of the VPC is in use, if that matters.
    pub(crate) is_in_use: bool,
    /// The role with which the rule's own flow log delivers.
    pub(crate) delivery_role: String,
}

/// A flow log of a VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FlowLog {
    pub(crate) id: String,
    pub(crate) place: Place,
    pub(crate) made: Timestamp,
    pub(crate) records_all: bool,
    pub(crate) is_ours: bool,
    pub(crate) delivery: Delivery,
}

/// Where a flow log delivers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// To the log group of this name.
    LogGroup(String),
    /// To the bucket of this ARN, with the folder, if any, behind it.
    Bucket(String),
    /// To something else, such as a stream of Data Firehose, or nobody knows where.
    Other(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::LogGroup(place) | Self::Bucket(place) | Self::Other(place)) = self;
        f.write_str(place)
    }
}

/// What AWS says of a flow log's delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// No try has failed, which is also so where there was none.
    NotFailed,
    /// It fails, for this reason.
    Failed(String),
    /// Nothing.
    Unknown,
}

impl FlowLog {
    /// Why it delivers nothing, where AWS says so.
    fn failure(&self) -> Option<&str> {
        match &self.delivery {
            Delivery::Failed(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether it is enough that it is there.
    pub(crate) fn is_enough(&self) -> bool {
        !self.is_ours && self.failure().is_none()
    }

    pub(crate) fn is_to_bucket(&self) -> bool {
        matches!(self.place, Place::Bucket(_))
    }

    /// Whether something has arrived in the rule's log group since it was made; `last` is when something last did.
    pub(crate) fn has_delivered(&self, last: Option<Timestamp>) -> bool {
        !self.is_to_bucket() && last.is_some_and(|at| at >= self.made)
    }

    /// Whether it is so old that it has delivered something, or its failure shows.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        now.duration_since(self.made) >= DUE_AFTER
    }

    fn fails_for_a_time(&self) -> bool {
        self.failure().is_some_and(|reason| PASSING.iter().any(|passing| reason.contains(passing)))
    }

    /// The note on it, where it records nothing beside one that does.
    fn note(&self) -> Option<String> {
        let reason = self.failure()?;
        let Self { id, place, .. } = self;
        Some(format!("the flow log {id} to {place} delivers nothing: {reason}"))
    }
}

/// The flow log of the rule's own that must be proved to work, where nothing else shows that the traffic is recorded.
pub(crate) fn to_prove(flow_logs: &[FlowLog]) -> Option<&FlowLog> {
    if flow_logs.iter().any(FlowLog::is_enough) {
        return None;
    }
    flow_logs.iter().find(|of| of.failure().is_none())
}

impl Vpc {
    /// Whether the flow logs that there are record the VPC's traffic, at the time `now`.
    pub(crate) fn judge(&self, now: Timestamp) -> Proposal<Change> {
        let mut proposal = Proposal::default();
        let enough = self.flow_logs.iter().find(|of| of.is_enough());
        if let Some(enough) = enough {
            let superfluous = self.flow_logs.iter().filter(|of| of.is_ours && of.failure().is_none());
            proposal.notes.extend(superfluous.map(|of| stays(of, enough)));
        }
        match to_prove(&self.flow_logs) {
            _ if enough.is_some() => {}
            Some(of) if of.has_delivered(self.last_delivery) => {}
            Some(of) if !of.is_due(now) => proposal.unproved.push(not_yet(of)),
            Some(of) if !self.is_in_use => proposal.notes.push(nothing_to_record(of)),
            Some(of) if of.is_to_bucket() && of.delivery == Delivery::NotFailed => {}
            Some(of) => proposal.unproved.push(self.nothing_delivered(of)),
            None => {
                let (passing, lasting): (Vec<_>, Vec<_>) = self.flow_logs.iter().partition(|of| of.fails_for_a_time());
                proposal.unproved.extend(passing.into_iter().filter_map(FlowLog::note));
                // One of them may work again by itself: nobody is asked to repair the others yet.
                if proposal.unproved.is_empty() {
                    proposal.held.extend(lasting.into_iter().filter_map(|of| self.to_mend(of)));
                    return proposal;
                }
            }
        }
        let noted = self.flow_logs.iter().filter_map(FlowLog::note);
        proposal.notes.extend(noted.filter(|note| !proposal.unproved.contains(note)).collect::<Vec<_>>());
        proposal
    }

    fn nothing_delivered(&self, of: &FlowLog) -> String {
        let (FlowLog { id, place, made, records_all, .. }, role) = (of, &self.delivery_role);
        if of.is_to_bucket() {
            return format!(
                "AWS does not say whether the flow log {id}, made at {made}, delivers to {place}, although the VPC's \
                 network interfaces are in use: look into the bucket; {LETS_IN}"
            );
        }
        let maybe = if *records_all { "" } else { ", unless there was none of the traffic that it records" };
        format!(
            "the flow log {id} has not delivered anything to {place} since it was made at {made}, although the \
             VPC's network interfaces are in use{maybe}: check whether its role {role} may write there"
        )
    }

    /// What is wrong with a flow log that fails, and what to do.
    fn to_mend(&self, of: &FlowLog) -> Option<String> {
        let (note, role) = (of.note()?, &self.delivery_role);
        Some(if of.is_ours && of.is_to_bucket() {
            format!("{note}. The bucket must exist, and {LETS_IN}")
        } else if of.is_ours {
            format!(
                "{note}. Its role {role} must exist, trust vpc-flow-logs.amazonaws.com and be allowed to write to the \
                 log group, by service control policies as well: apply the target module again"
            )
        } else {
            format!(
                "{note}. It is not this rule's own, so it stays as it is: mend its role or its destination, or delete \
                 it, and the next run makes one"
            )
        })
    }
}

fn not_yet(of: &FlowLog) -> String {
    let FlowLog { id, place, made, .. } = of;
    if of.is_to_bucket() {
        return format!(
            "the flow log {id} to {place}, made at {made}, is so new that a failure need not show yet, which can take 15 \
             minutes: the next run will look again"
        );
    }
    format!(
        "the flow log {id}, made at {made}, has not delivered anything to {place} yet, which can take 15 minutes: the \
         next run will look again"
    )
}

/// The note on a flow log of the rule's own that nobody needs.
fn stays(FlowLog { id, place, .. }: &FlowLog, enough: &FlowLog) -> String {
    format!(
        "this rule's flow log {id} to {place} stays, although the flow log {} to {} records the traffic too: \
         undo the run that made it, or delete one of them",
        enough.id, enough.place
    )
}

fn nothing_to_record(FlowLog { id, .. }: &FlowLog) -> String {
    format!(
        "no network interface of the VPC is in use, so there is nothing to record: whether the flow log {id} delivers \
         has not been shown"
    )
}

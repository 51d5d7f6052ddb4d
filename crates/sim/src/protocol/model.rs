//! Who there is, what each of them does next, and what can go wrong meanwhile.

use stateright::{Model, Property};

/// Seconds of the true time, or of somebody's clock.
pub(super) type Seconds = i32;

/// How long a Lambda may run.
const LIFE: Seconds = 300;
/// `AFTER_DEADLINE` of `engine::claim`.
const AFTER_DEADLINE: Seconds = 60;
/// `Bounds::claim`: how long a claim of a run without a deadline holds. It is renewed at a third.
const CLAIM: Seconds = 300;
/// `Bounds::reserve`: how long before its deadline a Lambda takes nothing up any more.
const RESERVE: Seconds = 75;
/// `Bounds::conclude`: how long before its deadline a Lambda waits for no write any more.
const CONCLUDE: Seconds = 45;
/// How long a call goes on at most that nobody waits for.
const CALL: Seconds = 30;
/// It does not end.
const NEVER: Seconds = Seconds::MAX;

/// A process by its place in the world; its run, and the holder of its claims.
pub(super) type Run = usize;

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    /// A Lambda, which the service starts so many times at most, with the same request ID.
    Lambda(u8),
    /// A command line that fixes. It has no deadline.
    Apply,
    /// A command line that takes back what a run wrote.
    Undo(Run),
    /// The polls after the faults; always the last process.
    Poll,
}

/// How the resource is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// By a call.
    Call,
    /// By a runbook, which outlives who started it. An undo needs none.
    Runbook,
}

/// A world to be checked.
#[derive(Debug, Clone)]
pub(super) struct Protocol {
    pub(super) actors: Vec<Actor>,
    /// By how much each process's clock is ahead of the true time.
    pub(super) ahead: Vec<Seconds>,
    pub(super) means: Means,
    /// So many processes die before their time.
    pub(super) crashes: u8,
    /// So many calls and answers are lost.
    pub(super) faults: u8,
    /// So often a person opens it by hand.
    pub(super) hands: u8,
    /// Whether the hand may close it, too.
    pub(super) hand_closes: bool,
    pub(super) without: Without,
    /// What must happen in it, by the names of properties, so that it is not a world without events.
    pub(super) happens: Vec<&'static str>,
}

/// Rules that are taken out, to see that they are needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Without {
    /// Nobody claims, and nobody heeds a claim.
    pub(super) claim: bool,
    /// A card is stored whatever is there.
    pub(super) condition: bool,
    /// Two cards with the same content have the same ETag.
    pub(super) nonce: bool,
    /// A claim does not end.
    pub(super) until: bool,
    /// A Lambda's claim ends with its deadline.
    pub(super) after_deadline: bool,
    /// Who takes over does not ask what is under way.
    pub(super) under_way: bool,
    /// A write of which nobody knows whether it has ended does not keep its claim.
    pub(super) hold: bool,
    /// Who takes over does not look again.
    pub(super) second_look: bool,
    /// The command line does not renew its claim.
    pub(super) renew: bool,
    /// Who could not renew its claim goes on.
    pub(super) lose: bool,
    /// The plan is not stored.
    pub(super) plan: bool,
    /// What a write answered is believed.
    pub(super) fresh_look: bool,
    /// A claim that nobody released is not remembered.
    pub(super) cut_off: bool,
    /// An undo does not ask who has changed the resource since.
    pub(super) written_after: bool,
    /// Runs do not leave alone what an undo has put back.
    pub(super) exempt: bool,
}

/// How what a run wrote ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ended {
    Proved,
    Unproved,
    CutOff,
}

/// What a card says of what a run wrote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Write {
    pub(super) run: Run,
    pub(super) ended: Ended,
    pub(super) took: bool,
    pub(super) is_undone: bool,
}

/// The right to write to the resource for a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Claim {
    /// The run, which is the holder as well.
    pub(super) holder: Run,
    pub(super) until: Seconds,
    pub(super) undoes: Option<Run>,
    /// Whether its holder has said what came of it, and holds on to it.
    pub(super) said: bool,
}

/// What is kept of the resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Card {
    pub(super) claim: Option<Claim>,
    pub(super) writes: Vec<Write>,
    pub(super) exempt: bool,
}

/// On which condition the card is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Condition {
    /// There is none.
    Absent,
    /// It is still of this version; none, where that will never be again, because of the nonce.
    Unchanged(Option<Card>),
}

/// What is stored on the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    Claim,
    /// And where the process goes on.
    Renew(Then),
    Hold,
    Release,
    GiveUp,
    /// Without a claim.
    Keep,
}

/// What a process does while its claim is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Then {
    Write,
    Await,
    Prove,
}

/// What a process does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Station {
    /// It has not begun, or has died and may be started again.
    Waiting,
    /// Lists the cards' versions.
    List,
    /// Looks at the resource.
    Look,
    /// Reads the card, and asks who else is `at_work`.
    AtWork,
    /// Asks what is `under_way`.
    UnderWay,
    /// Looks again, because it takes over.
    LookAgain,
    /// Stores something on the card.
    Put(What),
    /// Reads back whether what it stored is there, because the answer was lost.
    ReadBack(What),
    /// Stores the plan.
    Record,
    /// Sends the write.
    Write,
    /// Waits for its answer.
    Await,
    /// Looks afresh.
    Prove,
    /// Stores the report.
    Report,
    /// Has ended.
    Done,
}

/// What a process was told of its write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    None,
    Success,
    /// It failed, and has ended.
    Failure,
    /// Nobody knows whether it has ended: `ErrorKind::Unfinished`.
    Unfinished,
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    Took,
    /// It took, and the answer is an error.
    TookUnsaid,
    /// It did not take, and the answer says so.
    Failed,
    /// It did not take, and the answer says that it did.
    Hollow,
}

/// A write that was sent and has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Call {
    /// Before this it ends.
    before: Seconds,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) station: Station,
    /// So many times it may still be started.
    pub(super) starts: u8,
    /// When the service ends it.
    deadline: Seconds,
    pub(super) condition: Condition,
    /// What the look found.
    saw_open: bool,
    /// Whether somebody else of ours has changed the resource since the look.
    stale: bool,
    /// Until when it believes its claim to hold, by its clock.
    until: Seconds,
    renew_at: Seconds,
    pub(super) renewals: u8,
    pub(super) call: Option<Call>,
    pub(super) answer: Answer,
    /// Whether its claim could not be renewed.
    pub(super) lost: bool,
    /// Whether it was in truth as the write wants it, at a time since that was sent.
    was_so: bool,
    /// What the fresh look said.
    proved: bool,
    /// That the last PUT was its own although its answer was lost.
    pub(super) own: bool,
}

/// What must never be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wrong {
    WrittenUnplanned,
    WrittenUnclaimed,
    WrittenOnAnOldLook,
    ProvedUnseen,
    OpenedWhatAHandClosed,
    OpenedAfterALaterRun,
    ClosedWhatIsExempt,
}

/// The world at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    now: Seconds,
    pub(super) open: bool,
    closed_by_hand: bool,
    /// The run whose write is in force, where one of ours closed it.
    closed_by: Option<Run>,
    pub(super) stored: Option<Card>,
    pub(super) processes: Vec<Process>,
    /// Whose runbook is under way.
    pub(super) under_way: Option<Run>,
    plans: Vec<bool>,
    /// What the reports say of whether the write took.
    reports: Vec<Option<bool>>,
    /// Who has written, whatever is said of it.
    pub(super) wrote: Vec<bool>,
    crashes: u8,
    faults: u8,
    hands: u8,
    pub(super) polled: Option<Seconds>,
    pub(super) wrong: Option<Wrong>,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Start(Run),
    /// The process does what its station says, and is answered.
    Step(Run),
    /// What it stores is stored, and the answer is lost.
    LoseAnswer(Run),
    /// Its call to the store fails.
    Fail(Run),
    Crash(Run),
    Renew(Run),
    /// A write that was sent ends.
    End(Run, Fate),
    /// A write is not answered within the time for a call, and goes on.
    GiveUpOn(Run),
    /// The runbook ends, having taken or not.
    EndRunbook(bool),
    /// A person opens or closes it by hand.
    Hand,
    /// Time passes until the next moment that matters.
    Pass,
}

impl Card {
    /// The claim that somebody else has at `now`.
    fn claimed_by_another(&self, holder: Run, now: Seconds) -> bool {
        self.claim.as_ref().is_some_and(|claim| now < claim.until && claim.holder != holder)
    }

    fn cut_off(&self) -> Option<Write> {
        let claim = self.claim.as_ref().filter(|claim| claim.undoes.is_none() && !claim.said)?;
        Some(Write { run: claim.holder, ended: Ended::CutOff, took: false, is_undone: false })
    }

    /// What our runs have written, and what the run that has claimed it may have.
    pub(super) fn all_writes(&self) -> impl DoubleEndedIterator<Item = Write> {
        self.writes.iter().cloned().chain(self.cut_off())
    }

    fn remember(&mut self, write: Write) {
        self.writes.retain(|known| known.run != write.run);
        self.writes.push(write);
    }

    /// Whether a later run than `run` has written, and was not taken back.
    fn written_after(&self, run: Run) -> bool {
        let mut after = self.all_writes().rev().take_while(|write| write.run != run);
        after.any(|write| !write.is_undone && (write.ended == Ended::CutOff || write.took) && write.run >= run)
    }
}

impl Process {
    fn new(station: Station, starts: u8) -> Self {
        let condition = Condition::Absent;
        let (deadline, until, renew_at) = (NEVER, 0, NEVER);
        Self {
            station,
            starts,
            deadline,
            condition,
            saw_open: false,
            stale: false,
            until,
            renew_at,
            renewals: 1,
            call: None,
            answer: Answer::None,
            lost: false,
            was_so: false,
            proved: false,
            own: false,
        }
    }

    /// The same when it is dead or done; what it has sent goes on.
    fn ended(&mut self, starts: u8) {
        let station = if starts > 0 { Station::Waiting } else { Station::Done };
        *self = Self { call: self.call.take(), ..Self::new(station, starts) };
    }

    pub(super) fn is_at_work(&self) -> bool {
        !matches!(self.station, Station::Waiting | Station::Done)
    }
}

impl Protocol {
    fn poll(&self) -> Run {
        self.actors.len() - 1
    }

    fn undoes(&self, p: Run) -> Option<Run> {
        match self.actors[p] {
            Actor::Undo(run) => Some(run),
            _ => None,
        }
    }

    fn has_deadline(&self, p: Run) -> bool {
        matches!(self.actors[p], Actor::Lambda(_) | Actor::Poll)
    }

    fn clock(&self, state: &State, p: Run) -> Seconds {
        state.now + self.ahead[p]
    }

    /// How much time it has left, as it reckons: by its own clock and the deadline that the service names.
    fn left(&self, state: &State, p: Run) -> Seconds {
        match self.has_deadline(p) {
            true => state.processes[p].deadline - self.clock(state, p),
            false => NEVER,
        }
    }

    /// `Engine::claimed_until`: its own clock cancels out of a deadline.
    fn claimed_until(&self, state: &State, p: Run) -> Seconds {
        if self.without.until {
            return NEVER;
        }
        let after = if self.without.after_deadline { 0 } else { AFTER_DEADLINE };
        if self.has_deadline(p) { state.processes[p].deadline + after } else { self.clock(state, p) + CLAIM }
    }

    /// Whether the condition on which a process stores the card holds.
    fn holds(&self, state: &State, p: Run) -> bool {
        self.without.condition
            || match &state.processes[p].condition {
                Condition::Absent => state.stored.is_none(),
                Condition::Unchanged(version) => version.is_some() && *version == state.stored,
            }
    }

    /// The card's next version.
    fn changed(&self, state: &State, p: Run, what: What) -> Card {
        let mut card = state.stored.clone().unwrap_or_default();
        let process = &state.processes[p];
        match what {
            What::Claim => {
                if let Some(write) = card.cut_off().filter(|_| !self.without.cut_off) {
                    card.remember(write);
                }
                let undoes = self.undoes(p);
                card.exempt |= undoes.is_some();
                card.claim = Some(Claim { holder: p, until: self.claimed_until(state, p), undoes, said: false });
            }
            What::Renew(_) => {
                let until = self.claimed_until(state, p);
                card.claim.iter_mut().for_each(|claim| claim.until = until);
            }
            What::Hold | What::Release if self.undoes(p).is_none() => {
                let ended = if process.proved { Ended::Proved } else { Ended::Unproved };
                card.remember(Write { run: p, ended, took: process.proved, is_undone: false });
                match what {
                    What::Hold => card.claim.iter_mut().for_each(|claim| claim.said = true),
                    _ => card.claim = None,
                }
            }
            What::GiveUp => card.claim = None,
            What::Hold | What::Release | What::Keep => {
                let run = self.undoes(p).filter(|_| process.proved || what == What::Keep);
                if let Some(write) = card.cut_off().filter(|write| Some(write.run) == run) {
                    card.remember(write);
                    card.claim.iter_mut().for_each(|claim| claim.said = true);
                }
                card.writes.iter_mut().filter(|write| Some(write.run) == run).for_each(|write| write.is_undone = true);
                if what == What::Release {
                    card.claim = None;
                }
            }
        }
        card
    }

    /// Stores a version of the card: nobody else's condition holds from then on.
    fn store(&self, state: &mut State, p: Run, card: Card) {
        if !self.without.nonce {
            for other in &mut state.processes {
                if let Condition::Unchanged(version) = &mut other.condition {
                    *version = None;
                }
            }
        }
        state.processes[p].condition = Condition::Unchanged(Some(card.clone()));
        state.stored = Some(card);
    }

    /// What follows when a PUT took.
    fn stored(&self, state: &mut State, p: Run, what: What) {
        let now = state.now;
        let claim = state.stored.as_ref().and_then(|card| card.claim.as_ref());
        let until = claim.map_or(NEVER, |claim| claim.until);
        let process = &mut state.processes[p];
        if matches!(what, What::Claim | What::Renew(_)) {
            process.until = until;
            process.renew_at = NEVER;
        }
        if matches!(what, What::Renew(Then::Await | Then::Prove)) {
            process.renew_at = now + CLAIM / 3;
        }
        process.station = match what {
            What::Claim if self.without.plan => Station::Write,
            What::Claim => Station::Record,
            What::Renew(Then::Write) => Station::Write,
            What::Renew(Then::Await) => Station::Await,
            What::Renew(Then::Prove) => Station::Prove,
            What::Hold | What::Release => Station::Report,
            What::GiveUp | What::Keep => return process.ended(0),
        };
    }

    /// What follows when it did not, or when nobody can tell: `Refused`.
    fn refused(&self, state: &mut State, p: Run, what: What) {
        let without = self.without.lose;
        let now = state.now;
        let process = &mut state.processes[p];
        match what {
            What::Claim | What::Renew(Then::Write) | What::GiveUp | What::Keep => process.ended(0),
            What::Renew(Then::Await | Then::Prove) if without => {
                process.renew_at = NEVER;
                process.station = if what == What::Renew(Then::Await) { Station::Await } else { Station::Prove };
            }
            What::Renew(then) => {
                (process.lost, process.renew_at, process.station) = (true, NEVER, Station::Prove);
                if then == Then::Await {
                    process.answer = Answer::Unfinished;
                    process.call.iter_mut().for_each(|call| call.before = now + CALL);
                }
            }
            What::Hold | What::Release => process.station = Station::Report,
        }
    }

    /// The process does what its station says.
    fn step(&self, state: &mut State, p: Run) {
        let (clock, undoes, left) = (self.clock(state, p), self.undoes(p), self.left(state, p));
        let open = state.open;
        let station = state.processes[p].station;
        state.processes[p].own = false;
        match station {
            Station::List => {
                let process = &mut state.processes[p];
                process.condition = match &state.stored {
                    None => Condition::Absent,
                    Some(card) => Condition::Unchanged(Some(card.clone())),
                };
                process.station = Station::Look;
            }
            Station::Look => {
                let process = &mut state.processes[p];
                (process.saw_open, process.stale) = (open, false);
                process.station = if open || undoes.is_some() { Station::AtWork } else { Station::Report };
            }
            Station::AtWork => self.at_work(state, p, clock),
            Station::UnderWay if state.under_way.is_some() => self.defer(state, p),
            Station::UnderWay => {
                state.processes[p].station =
                    if self.without.second_look { Station::Put(What::Claim) } else { Station::LookAgain };
            }
            Station::LookAgain if state.processes[p].saw_open != open => self.defer(state, p),
            Station::LookAgain => {
                state.processes[p].stale = false;
                state.processes[p].station = Station::Put(What::Claim);
            }
            Station::Put(What::Claim) if left < RESERVE => self.defer(state, p),
            Station::Put(What::Claim) if self.without.claim => self.stored(state, p, What::Claim),
            Station::Put(what) => {
                if self.holds(state, p) {
                    let card = self.changed(state, p, what);
                    self.store(state, p, card);
                    self.stored(state, p, what);
                } else {
                    self.refused(state, p, what);
                }
            }
            Station::ReadBack(what) => {
                if self.holds(state, p) {
                    state.processes[p].own = true;
                    self.stored(state, p, what);
                } else {
                    self.refused(state, p, what);
                }
            }
            Station::Record => {
                state.plans[p] = true;
                state.processes[p].station = Station::Write;
            }
            Station::Write => self.write(state, p, clock, left),
            Station::Await => {
                let process = &mut state.processes[p];
                if process.answer == Answer::None {
                    process.answer = Answer::Unfinished;
                }
                process.station = Station::Prove;
            }
            Station::Prove => self.prove(state, p),
            Station::Report => {
                let process = &mut state.processes[p];
                state.reports[p] = Some(process.proved && undoes.is_none());
                process.ended(0);
            }
            Station::Waiting | Station::Done => {}
        }
    }

    /// `Engine::decide` and `Engine::ready`: what the card says.
    fn at_work(&self, state: &mut State, p: Run, clock: Seconds) {
        let card = state.stored.clone().unwrap_or_default();
        if !self.without.claim && card.claimed_by_another(p, clock) {
            return self.defer(state, p);
        }
        if let Some(run) = self.undoes(p) {
            let by_card = || card.all_writes().rfind(|write| write.run == run);
            let written = match state.reports[run] {
                Some(took) => took,
                None => by_card().is_some_and(|write| write.ended == Ended::CutOff || write.took),
            };
            let later = card.written_after(run) && !self.without.written_after;
            if !written || !state.plans[run] || later {
                return state.processes[p].ended(0);
            }
            if state.processes[p].saw_open {
                state.processes[p].station = Station::Put(What::Keep);
                return;
            }
            if by_card().is_some_and(|write| write.is_undone) {
                return state.processes[p].ended(0);
            }
        } else if card.exempt && !self.without.exempt {
            return state.processes[p].ended(0);
        }
        let asks = card.claim.is_some() && !self.without.under_way;
        state.processes[p].station = if asks { Station::UnderWay } else { Station::Put(What::Claim) };
    }

    /// Leaves it to the next poll.
    fn defer(&self, state: &mut State, p: Run) {
        state.processes[p].ended(u8::from(p == self.poll()));
    }

    /// `Engine::fix` and `Engine::write`.
    fn write(&self, state: &mut State, p: Run, clock: Seconds, left: Seconds) {
        let process = &state.processes[p];
        if left < RESERVE {
            state.processes[p].station = Station::Put(What::GiveUp);
            return;
        }
        if !self.has_deadline(p) && process.until - clock < CLAIM * 2 / 3 && !self.without.renew {
            let process = &mut state.processes[p];
            process.renewals = process.renewals.saturating_sub(1);
            process.station = Station::Put(What::Renew(Then::Write));
            return;
        }
        if clock >= process.until {
            state.processes[p].station = Station::Put(What::GiveUp);
            return;
        }
        let card = state.stored.clone().unwrap_or_default();
        let claimed = card.claim.as_ref().is_some_and(|claim| claim.holder == p && clock < claim.until);
        let is_undo = self.undoes(p).is_some();
        let later = state.closed_by.is_some() && self.undoes(p).is_some_and(|run| state.closed_by > Some(run));
        let wrongs = [
            (!state.plans[p], Wrong::WrittenUnplanned),
            (!claimed && !self.without.claim, Wrong::WrittenUnclaimed),
            (process.stale, Wrong::WrittenOnAnOldLook),
            (is_undo && !state.open && state.closed_by_hand, Wrong::OpenedWhatAHandClosed),
            (is_undo && !state.open && later, Wrong::OpenedAfterALaterRun),
        ];
        state.wrong = wrongs.iter().find(|(is, _)| *is).map(|(_, wrong)| *wrong);
        state.wrote[p] |= !is_undo;
        let process = &mut state.processes[p];
        process.call = Some(Call { before: process.deadline });
        process.renew_at = if self.has_deadline(p) { NEVER } else { state.now + CLAIM / 3 };
        (process.answer, process.was_so) = (Answer::None, state.open == is_undo);
        process.station = Station::Await;
    }

    /// A fresh look; and what is then kept on the card.
    fn prove(&self, state: &mut State, p: Run) {
        let is_undo = self.undoes(p).is_some();
        let process = &mut state.processes[p];
        process.proved = match self.without.fresh_look {
            true => process.answer == Answer::Success,
            false => state.open == is_undo,
        };
        if process.proved && !process.was_so {
            state.wrong = Some(Wrong::ProvedUnseen);
        }
        let has_ended = process.answer != Answer::Unfinished || self.without.hold;
        process.renew_at = NEVER;
        process.station = match has_ended {
            true if self.without.claim => Station::Report,
            true => Station::Put(What::Release),
            false => Station::Put(What::Hold),
        };
    }

    /// The resource is from now on as a write of `p` wants it.
    fn take(&self, state: &mut State, p: Run) {
        let is_undo = self.undoes(p).is_some();
        if state.open != is_undo {
            state.closed_by = (!is_undo).then_some(p);
            state.closed_by_hand = false;
        }
        if !is_undo && state.open && state.stored.as_ref().is_some_and(|card| card.exempt) {
            state.wrong = Some(Wrong::ClosedWhatIsExempt);
        }
        state.open = is_undo;
        for (q, other) in state.processes.iter_mut().enumerate() {
            let decides = matches!(
                other.station,
                Station::AtWork
                    | Station::UnderWay
                    | Station::LookAgain
                    | Station::Put(What::Claim | What::Renew(Then::Write))
                    | Station::ReadBack(What::Claim | What::Renew(Then::Write))
                    | Station::Record
                    | Station::Write
            );
            other.stale |= q != p && decides;
        }
        self.notice(state);
    }

    /// Keeps what is true of the resource after a write was sent.
    fn notice(&self, state: &mut State) {
        for p in 0..state.processes.len() {
            let wants_open = self.undoes(p).is_some();
            let process = &mut state.processes[p];
            if matches!(
                process.station,
                Station::Await | Station::Prove | Station::Put(What::Renew(_)) | Station::ReadBack(What::Renew(_))
            ) {
                process.was_so |= state.open == wants_open;
            }
        }
    }

    /// A write that was sent ends.
    fn end(&self, state: &mut State, p: Run, fate: Fate) {
        state.processes[p].call = None;
        let takes = matches!(fate, Fate::Took | Fate::TookUnsaid);
        if takes && self.means == Means::Runbook && self.undoes(p).is_none() {
            state.under_way = Some(p);
        } else if takes {
            self.take(state, p);
        }
        if takes && self.means == Means::Runbook && self.undoes(p).is_none() && fate == Fate::Took {
            // It waits for the runbook's end.
            return;
        }
        let answer = match fate {
            Fate::Took | Fate::Hollow => Answer::Success,
            // That the answer is an error says nothing of a runbook that was started.
            Fate::TookUnsaid if self.means == Means::Runbook => Answer::Unfinished,
            Fate::TookUnsaid | Fate::Failed => Answer::Failure,
        };
        self.answer(state, p, answer);
    }

    fn answer(&self, state: &mut State, p: Run, answer: Answer) {
        let process = &mut state.processes[p];
        if matches!(
            process.station,
            Station::Await | Station::Put(What::Renew(Then::Await)) | Station::ReadBack(What::Renew(Then::Await))
        ) {
            process.answer = answer;
        }
    }

    /// The next moment on which somebody's comparison depends; none, where something must happen before.
    fn next_moment(&self, state: &State) -> Option<Seconds> {
        // The polls are quick: what time does to a Lambda is seen at the others.
        if state.processes[self.poll()].is_at_work() {
            return None;
        }
        let mut moments = Vec::new();
        for (p, process) in state.processes.iter().enumerate() {
            if process.is_at_work() {
                moments.extend([process.deadline, process.renew_at]);
                if self.has_deadline(p) {
                    // Its own comparisons: before the write, and while it waits for it.
                    let waits = process.station == Station::Await;
                    let (reckoned, last) =
                        (process.deadline - self.ahead[p], if waits { CONCLUDE } else { RESERVE - 1 });
                    let compares = waits || matches!(process.station, Station::Write | Station::Put(What::Claim));
                    moments.extend(compares.then_some(reckoned - last));
                } else if process.until > 0 {
                    let until = process.until - self.ahead[p];
                    moments.extend([until, until - CLAIM * 2 / 3]);
                }
            }
            if let Some(claim) = state.stored.as_ref().and_then(|card| card.claim.as_ref())
                && claim.until != NEVER
                && (claim.holder != p || p == self.poll())
            {
                moments.push(claim.until - self.ahead[p]);
            }
        }
        let next = moments.into_iter().filter(|moment| *moment > state.now && *moment != NEVER).min()?;
        let is_in_time = |process: &Process| {
            // A renewal is not put off; where the bounds allow no more of them, no time passes.
            let before = matches!(process.station, Station::Record | Station::Write);
            let renewed = next <= process.renew_at && (process.renewals > 0 || !before) || self.without.renew;
            renewed && process.call.as_ref().is_none_or(|call| next < call.before)
        };
        state.processes.iter().all(is_in_time).then_some(next)
    }

    /// Whether nothing happens any more.
    pub(super) fn is_end(&self, state: &State) -> bool {
        if state.processes.iter().any(Process::is_at_work) {
            return false;
        }
        let mut actions = Vec::new();
        self.actions(state, &mut actions);
        actions.is_empty()
    }

    /// Whether no claim keeps anybody from the resource.
    pub(super) fn is_free(&self, state: &State) -> bool {
        let claim = state.stored.as_ref().and_then(|card| card.claim.as_ref());
        claim.is_none_or(|claim| {
            (0..self.actors.len()).all(|p| p == claim.holder || self.clock(state, p) >= claim.until)
        })
    }

    /// What a process may do or suffer.
    fn of_process(&self, state: &State, p: Run, actions: &mut Vec<Action>) {
        let process = &state.processes[p];
        let (is_poll, has_polled) = (p == self.poll(), state.polled.is_some());
        if process.call.is_some() {
            actions.extend([Action::End(p, Fate::Took), Action::End(p, Fate::Failed)].into_iter().take(if is_poll {
                1
            } else {
                2
            }));
            if state.faults > 0 && !is_poll {
                actions.extend([Action::End(p, Fate::TookUnsaid), Action::End(p, Fate::Hollow)]);
            }
        }
        match process.station {
            Station::Waiting => {
                let others = state.processes.iter().all(|other| !other.is_at_work() && other.call.is_none());
                let quiet = others && state.under_way.is_none() && state.polled < Some(state.now);
                let may = if is_poll { quiet } else { !has_polled && process.call.is_none() };
                if may && process.starts > 0 {
                    actions.push(Action::Start(p));
                }
                return;
            }
            Station::Done => return,
            Station::Await => {
                let waits = process.answer == Answer::None;
                let late = self.left(state, p) <= CONCLUDE;
                if !waits || late {
                    actions.push(Action::Step(p));
                } else if (process.call.is_some() || state.under_way == Some(p)) && state.faults > 0 && !is_poll {
                    actions.push(Action::GiveUpOn(p));
                }
            }
            _ => actions.push(Action::Step(p)),
        }
        if matches!(process.station, Station::Await | Station::Prove)
            && process.renew_at <= state.now
            && process.renewals > 0
            && !self.has_deadline(p)
            && !self.without.renew
        {
            actions.push(Action::Renew(p));
        }
        if is_poll {
            return;
        }
        if state.crashes > 0 {
            actions.push(Action::Crash(p));
        }
        if state.faults > 0 {
            let fails =
                matches!(process.station, Station::Put(_) | Station::ReadBack(_) | Station::Record | Station::Report);
            actions.extend(fails.then_some(Action::Fail(p)));
            let put = matches!(process.station, Station::Put(_)) && !self.without.claim;
            let loses = put
                && self.holds(state, p)
                && (process.station != Station::Put(What::Claim) || self.left(state, p) >= RESERVE);
            actions.extend(loses.then_some(Action::LoseAnswer(p)));
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let starts = |actor: &Actor| match actor {
            Actor::Lambda(starts) => *starts,
            _ => 1,
        };
        let count = self.actors.len();
        vec![State {
            now: 0,
            open: true,
            closed_by_hand: false,
            closed_by: None,
            stored: None,
            processes: self.actors.iter().map(|actor| Process::new(Station::Waiting, starts(actor))).collect(),
            under_way: None,
            plans: vec![false; count],
            reports: vec![None; count],
            wrote: vec![false; count],
            crashes: self.crashes,
            faults: self.faults,
            hands: self.hands,
            polled: None,
            wrong: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for p in 0..self.actors.len() {
            self.of_process(state, p, actions);
        }
        if state.under_way.is_some() {
            actions.push(Action::EndRunbook(true));
            let fails = state.faults > 0 && state.polled.is_none();
            actions.extend(fails.then_some(Action::EndRunbook(false)));
        }
        if state.hands > 0 && state.polled.is_none() && (self.hand_closes || !state.open) {
            actions.push(Action::Hand);
        }
        actions.extend(self.next_moment(state).map(|_| Action::Pass));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Start(p) => {
                let process = &mut state.processes[p];
                (process.station, process.starts) = (Station::List, process.starts - 1);
                if self.has_deadline(p) {
                    process.deadline = state.now + LIFE;
                }
                if p == self.poll() {
                    state.polled = Some(state.now);
                }
            }
            Action::Step(p) => self.step(&mut state, p),
            Action::LoseAnswer(p) => {
                state.faults -= 1;
                if let Station::Put(what) = state.processes[p].station {
                    let card = self.changed(&state, p, what);
                    self.store(&mut state, p, card);
                    state.processes[p].station = Station::ReadBack(what);
                }
            }
            Action::Fail(p) => {
                state.faults -= 1;
                match state.processes[p].station {
                    Station::Put(what) | Station::ReadBack(what) => self.refused(&mut state, p, what),
                    Station::Record => state.processes[p].station = Station::Put(What::GiveUp),
                    // The event is not done, and the service tries it again.
                    _ => {
                        let starts = state.processes[p].starts;
                        state.processes[p].ended(starts);
                    }
                }
            }
            Action::Crash(p) => {
                state.crashes -= 1;
                let (starts, now) = (state.processes[p].starts, state.now);
                let process = &mut state.processes[p];
                process.ended(starts);
                process.call.iter_mut().for_each(|call| call.before = call.before.min(now + CALL));
            }
            Action::Renew(p) => {
                let process = &mut state.processes[p];
                let then = if process.station == Station::Await { Then::Await } else { Then::Prove };
                process.renewals -= 1;
                process.station = Station::Put(What::Renew(then));
            }
            Action::End(p, fate) => {
                if matches!(fate, Fate::TookUnsaid | Fate::Hollow) {
                    state.faults -= 1;
                }
                self.end(&mut state, p, fate);
            }
            Action::GiveUpOn(p) => {
                state.faults -= 1;
                let now = state.now;
                let process = &mut state.processes[p];
                process.answer = Answer::Unfinished;
                process.call.iter_mut().for_each(|call| call.before = call.before.min(now + CALL));
            }
            Action::EndRunbook(took) => {
                let by = state.under_way.take()?;
                if took {
                    self.take(&mut state, by);
                } else {
                    state.faults -= 1;
                }
                self.answer(&mut state, by, if took { Answer::Success } else { Answer::Failure });
            }
            Action::Hand => {
                state.hands -= 1;
                state.open = !state.open;
                (state.closed_by_hand, state.closed_by) = (!state.open, None);
                self.notice(&mut state);
            }
            Action::Pass => {
                state.now = self.next_moment(&state)?;
                let now = state.now;
                for process in state.processes.iter_mut().filter(|process| process.is_at_work()) {
                    if process.deadline <= now {
                        let starts = process.starts;
                        process.ended(starts);
                    }
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        super::properties(self)
    }
}

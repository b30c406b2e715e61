//! Memory of operators: one bound for the process, and a fair share of it for each statement.
//!
//! With `n` statements that hold memory, each may hold one part of `n + 1`: what comes next finds room, however much the others want.
//! Within a statement, operators that can spill share what those that cannot leave them, as in DataFusion's `FairSpillPool`.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, TrackConsumersPool};

/// How many of a statement's largest consumers an error names.
const NAMED: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");

/// The memory of the process.
#[derive(Debug)]
pub(crate) struct ProcessMemory {
    capacity: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    bytes: usize,
    /// How many statements hold any.
    statements: usize,
}

impl ProcessMemory {
    /// Memory of `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, used: Mutex::default() })
    }

    /// A pool for one statement.
    pub(crate) fn for_statement(self: &Arc<Self>) -> Arc<dyn MemoryPool> {
        Arc::new(TrackConsumersPool::new(StatementMemory { process: Arc::clone(self), held: Mutex::default() }, NAMED))
    }
}

impl Used {
    /// What a statement that holds `held` may hold in all.
    fn share(&self, capacity: usize, held: usize) -> usize {
        let others = if held > 0 { self.statements.saturating_sub(1) } else { self.statements };
        capacity / (others + 2)
    }
}

/// The memory of one statement.
#[derive(Debug)]
struct StatementMemory {
    process: Arc<ProcessMemory>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// How many consumers can spill.
    spilling: usize,
    spillable: usize,
    unspillable: usize,
}

impl Held {
    fn bytes(&self) -> usize {
        self.spillable + self.unspillable
    }

    fn of(&mut self, reservation: &MemoryReservation) -> &mut usize {
        if reservation.consumer().can_spill() { &mut self.spillable } else { &mut self.unspillable }
    }
}

impl StatementMemory {
    /// Takes `bytes` for `reservation`, from the process too.
    fn take(held: &mut Held, used: &mut Used, reservation: &MemoryReservation, bytes: usize) {
        used.statements += usize::from(held.bytes() == 0 && bytes > 0);
        used.bytes += bytes;
        *held.of(reservation) += bytes;
    }

    /// What `reservation` may have in all.
    fn available(&self, held: &Held, used: &Used, reservation: &MemoryReservation) -> usize {
        let capacity = self.process.capacity;
        // What others hold beyond their shares, they hold until they give it back.
        let free = capacity.saturating_sub(used.bytes) + held.bytes();
        let share = used.share(capacity, held.bytes()).min(free);
        if reservation.consumer().can_spill() {
            share.saturating_sub(held.unspillable) / held.spilling.max(1)
        } else {
            share.saturating_sub(held.bytes() - reservation.size())
        }
    }
}

impl fmt::Display for StatementMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes)", self.name(), self.reserved())
    }
}

impl MemoryPool for StatementMemory {
    fn name(&self) -> &str {
        "statement"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        lock(&self.held).spilling += usize::from(consumer.can_spill());
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        lock(&self.held).spilling -= usize::from(consumer.can_spill());
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        Self::take(&mut lock(&self.held), &mut lock(&self.process.used), reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let (mut held, mut used) = (lock(&self.held), lock(&self.process.used));
        *held.of(reservation) -= shrink;
        used.bytes -= shrink;
        used.statements -= usize::from(held.bytes() == 0 && shrink > 0);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> DataFusionResult<()> {
        let (mut held, mut used) = (lock(&self.held), lock(&self.process.used));
        let available = self.available(&held, &used, reservation);
        if reservation.size() + additional > available {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{} wants {additional} bytes beside its {}, of {available} that it may have",
                reservation.consumer().name(),
                reservation.size(),
            )));
        }
        Self::take(&mut held, &mut used, reservation, additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        lock(&self.held).bytes()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.process.capacity)
    }
}

/// What is guarded is whole after any panic: sums are changed last.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(pool: &Arc<dyn MemoryPool>, name: &str) -> MemoryReservation {
        MemoryConsumer::new(name).register(pool)
    }

    #[test]
    fn one_statement_leaves_room_for_another() {
        let memory = ProcessMemory::new(1200);
        let (one, other) = (memory.for_statement(), memory.for_statement());
        let join = consumer(&one, "join");
        assert!(join.try_grow(601).is_err());
        join.try_grow(600).unwrap();
        let second = consumer(&other, "join");
        assert!(second.try_grow(401).is_err(), "with two, each may have a third");
        second.try_grow(400).unwrap();
        // The first has more than its share by now, and keeps it.
        assert!(join.try_grow(1).is_err());
        let third = memory.for_statement();
        let last = consumer(&third, "join");
        assert!(last.try_grow(201).is_err(), "there is no more");
        last.try_grow(200).unwrap();
        drop((join, second));
        last.try_grow(400).unwrap();
        drop(last);
        let used = lock(&memory.used);
        assert_eq!((used.bytes, used.statements), (0, 0));
    }

    #[test]
    fn who_can_spill_shares_what_the_others_leave() {
        let memory = ProcessMemory::new(2000);
        let pool = memory.for_statement();
        let join = consumer(&pool, "join");
        join.try_grow(200).unwrap();
        let [one, other] = ["one", "other"].map(|name| MemoryConsumer::new(name).with_can_spill(true).register(&pool));
        assert!(one.try_grow(401).is_err());
        one.try_grow(400).unwrap();
        other.try_grow(400).unwrap();
        assert!(join.try_grow(1).is_err());
        drop(other);
        one.try_grow(400).unwrap();
        let refused = join.try_grow(1).unwrap_err().to_string();
        assert!(refused.contains("join"), "{refused}");
    }

    #[test]
    fn what_must_be_had_is_counted_too() {
        let memory = ProcessMemory::new(100);
        let pool = memory.for_statement();
        let join = consumer(&pool, "join");
        join.grow(500);
        let other = memory.for_statement();
        assert!(consumer(&other, "join").try_grow(1).is_err());
        drop(join);
        assert_eq!(lock(&memory.used).bytes, 0);
    }
}

//! The pace of acknowledgements.

use std::time::Duration;

use crate::boot::BootInstant;

/// The least time between two acknowledgements over a longer time. With those that need not wait,
/// each second has 10 at most, whatever the changes do. An account may have a thousand points, and
/// each acknowledgement is a write.
pub const INTERVAL: Duration = Duration::from_millis(125);

/// The acknowledgements that need not wait after a quiet time: a few changes that an operator makes
/// one after the other are reported without a pause.
const AT_ONCE: u32 = 3;

/// The acknowledgements so far, each of which takes an [`INTERVAL`]: the end of the last one.
#[derive(Debug, Default)]
pub struct Pace(Option<BootInstant>);

impl Pace {
    /// Records an acknowledgement that was sent at this instant. Returns the earliest instant of
    /// the next one.
    pub fn sent(&mut self, at: BootInstant) -> BootInstant {
        let begin = self.0.map_or(at, |end| end.max(at));
        let end = begin.plus(INTERVAL);
        self.0 = Some(end);
        end.minus(INTERVAL * (AT_ONCE - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_point_waits_after_a_few_acknowledgements_and_a_busy_one_after_each() {
        let begin = BootInstant::from_nanoseconds(60_000_000_000);
        let mut pace = Pace::default();
        for quiet in [begin, begin.plus(Duration::from_secs(9))] {
            let (mut now, mut sent) = (quiet, Vec::new());
            for _ in 0..50 {
                sent.push(now.since(quiet));
                now = now.max(pace.sent(now));
            }
            let few = AT_ONCE as usize;
            assert!(sent[..few].iter().all(Duration::is_zero), "{sent:?}");
            let each = sent[few - 1..].windows(2);
            assert!(
                each.into_iter().all(|two| two[0] + INTERVAL == two[1]),
                "{sent:?}"
            );
            let second = Duration::from_secs(1);
            let mut eleven = sent.windows(11);
            assert!(
                eleven.all(|some| some[0] + second <= some[10]),
                "at most ten are in each second: {sent:?}"
            );
        }
    }

    #[test]
    fn the_time_of_the_answer_is_a_part_of_the_pause() {
        let mut pace = Pace::default();
        let mut now = BootInstant::from_nanoseconds(60_000_000_000);
        for _ in 0..50 {
            let next = pace.sent(now);
            now = now.plus(INTERVAL);
            assert!(next <= now, "no acknowledgement waits besides");
        }
    }
}

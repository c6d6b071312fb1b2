use std::net::{IpAddr, Ipv4Addr};

use futures_util::FutureExt;

use super::*;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn limits(connections: usize) -> Limits {
    Limits {
        connections,
        idle_timeout: SECONDS(30),
    }
}

fn origin(number: u8) -> Origin {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)).into()
}

/// A generator of small numbers (Knuth's MMIX).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// The plain model: every open connection in a list, the next one to close found by looking at all.
#[derive(Default)]
struct Model {
    open: Vec<Open>,
    clock: u64,
}

struct Open {
    place: Place,
    number: u64,
    origin: Option<u8>,
    /// True for a trusted proxy.
    is_proxy: bool,
    /// The time since which it waits for its client.
    waits: Option<u64>,
    phase: Phase,
    is_unread: bool,
}

impl Model {
    fn oldest(&self, of: impl Fn(&Open) -> bool) -> Option<u64> {
        let waiting = self
            .open
            .iter()
            .filter(|open| of(open) && open.waits.is_some());
        waiting
            .min_by_key(|open| (open.is_unread, open.waits))
            .map(|open| open.number)
    }

    fn count(&self, origin: u8) -> usize {
        let same = |open: &&Open| open.origin == Some(origin);
        self.open.iter().filter(same).count()
    }

    /// Returns the connection that must close for one more of this address.
    fn expected(&self, origin: u8, share: usize) -> Result<Option<u64>, ()> {
        if self.count(origin) < share {
            return Ok(None);
        }
        let oldest = self.oldest(|open| open.origin == Some(origin));
        oldest.map(Some).ok_or(())
    }

    /// Removes the connections that were told to close, and returns their numbers.
    fn closed(&mut self) -> Vec<u64> {
        let is_closed = |open: &mut Open| open.place.closed().now_or_never().is_some();
        let closed: Vec<_> = self.open.extract_if(.., is_closed).collect();
        closed.iter().map(|open| open.number).collect()
    }

    fn wait(&mut self, at: usize) {
        self.clock += 1;
        let open = &mut self.open[at];
        let waits = open.is_unread || open.phase != Phase::Answer;
        open.waits = waits.then_some(self.clock);
    }

    /// Takes a place, and compares the closed connection with the model's choice.
    async fn arrive(&mut self, places: &Arc<Places>, number: u64, from: Option<u8>) {
        let max = places.limits.connections;
        let by_share = from.map_or(Ok(None), |from| {
            self.expected(from, places.limits.of_an_address())
        });
        let expected = match by_share {
            Ok(None) if self.open.len() == max => self.oldest(|_| true),
            Ok(made) => made,
            Err(()) => None,
        };
        let must_wait = by_share == Ok(None) && self.open.len() == max && expected.is_none();
        let mut take = Box::pin(places.take(from.map(origin)));
        let at_once = take.as_mut().now_or_never();
        let closed = self.closed();
        assert_eq!(closed, Vec::from_iter(expected), "{number}");
        if must_wait {
            assert!(at_once.is_none());
            return;
        }
        let taken = match at_once {
            Some(taken) => taken,
            None => take.await,
        };
        assert_eq!(taken.is_none(), by_share.is_err());
        let Some(place) = taken else { return };
        self.open.push(Open {
            place,
            number,
            origin: from,
            is_proxy: from.is_none(),
            waits: None,
            phase: Phase::First,
            is_unread: false,
        });
        self.wait(self.open.len() - 1);
    }

    fn begin(&mut self, places: &Places, at: usize, has_body: bool, client: u8) {
        let share = places.limits.of_an_address();
        let client = self.open[at].is_proxy.then_some(client);
        // It does not wait while it begins, so it is not closed for itself.
        self.open[at].waits = None;
        let expected = client.map_or(Ok(None), |client| self.expected(client, share));
        let seat = self.open[at].place.seat().clone();
        let number = self.open[at].number;
        let begun = seat.begin(has_body, client.map(origin));
        assert_eq!(begun, expected.map(|_| ()).map_err(|()| NotBegun::TooMany));
        assert_eq!(self.closed(), Vec::from_iter(expected.ok().flatten()));
        let at = self.open.iter().position(|open| open.number == number);
        let at = at.expect("the beginning connection stays open");
        if let (Some(client), Ok(())) = (client, begun) {
            self.open[at].origin = Some(client);
        }
        self.open[at].phase = match has_body && begun.is_ok() {
            true => Phase::Body,
            false => Phase::Answer,
        };
        self.wait(at);
    }

    /// Lets one connection do its next step.
    fn step(&mut self, places: &Places, chance: &mut Chance) {
        let at = chance.below(self.open.len() as u64) as usize;
        let open = &mut self.open[at];
        match (open.phase, chance.below(6)) {
            (_, 0) => drop(self.open.remove(at)),
            (_, 1) => {
                open.is_unread = !open.is_unread;
                open.place.seat().unread(open.is_unread);
                self.wait(at);
            }
            (Phase::First | Phase::Idle, roll) => {
                self.begin(places, at, roll % 2 == 0, chance.below(3) as u8);
            }
            (Phase::Body, _) => {
                open.place.seat().complete();
                open.phase = Phase::Answer;
                self.wait(at);
            }
            (Phase::Answer, _) => {
                open.place.seat().answered();
                open.phase = Phase::Idle;
                if open.is_proxy {
                    open.origin = None;
                }
                self.wait(at);
            }
        }
    }
}

#[tokio::test]
async fn random_histories_close_the_connections_that_a_plain_model_chooses() {
    for seed in 0..300 {
        let mut chance = Chance(seed);
        let places = Places::new(limits(1 + chance.below(12) as usize));
        let mut model = Model::default();
        for number in 0..200 {
            // Two addresses, and a proxy for clients at three.
            let from = [Some(0), Some(1), None][chance.below(3) as usize];
            if model.open.is_empty() || chance.below(2) == 0 {
                model.arrive(&places, number, from).await;
            } else {
                model.step(&places, &mut chance);
            }
            assert!(model.open.len() <= places.limits.connections);
            let state = lock(&places.state);
            assert_eq!(state.taken.len(), model.open.len());
            for (of, counted) in &state.of_origins {
                let known = (0..3).find(|number| origin(*number) == *of);
                let known = known.expect("an address of the test");
                assert_eq!(counted.count, model.count(known), "seed {seed}");
            }
        }
        drop(model);
        let state = lock(&places.state);
        assert!(state.taken.is_empty() && state.waiting.is_empty() && state.of_origins.is_empty());
    }
}

/// Returns true if a sweep `after` this time closes the connection.
fn is_swept(places: &Places, place: &Place, after: Duration) -> bool {
    places.sweep_at(Instant::now() + after);
    place.closed().now_or_never().is_some()
}

#[tokio::test]
async fn a_head_has_seconds_and_an_idle_connection_has_longer() {
    for (has_request, has_octet, is_unread, limit) in [
        (false, false, false, HEAD_TIMEOUT),
        (false, true, false, HEAD_TIMEOUT),
        (true, true, false, HEAD_TIMEOUT),
        (true, false, false, SECONDS(30)),
        (true, false, true, SECONDS(30)),
    ] {
        let places = Places::new(limits(100));
        let place = places.take(Some(origin(1))).await.unwrap();
        if has_request {
            place.seat().begin(false, None).unwrap();
            place.seat().answered();
        }
        if has_octet {
            place.seat().received();
        }
        if is_unread {
            place.seat().unread(true);
        }
        assert!(!is_swept(&places, &place, limit * 9 / 10), "{limit:?}");
        assert!(is_swept(&places, &place, limit * 11 / 10), "{limit:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_answered_is_never_swept() {
    let places = Places::new(limits(1));
    let place = places.take(Some(origin(1))).await.unwrap();
    place.seat().begin(false, None).unwrap();
    assert!(!is_swept(&places, &place, SECONDS(3600)));
    let not_free = |number| places.take_free(Some(origin(number))).err();
    assert_eq!(not_free(1), Some(NotFree::Share));
    assert_eq!(not_free(2), Some(NotFree::Full));
}

#[tokio::test]
async fn the_limit_of_a_head_is_shorter_when_the_places_run_out() {
    for (from, is_shorter) in [([1, 1, 1, 1], true), ([1, 2, 3, 4], false)] {
        // Four of ten places, and four of the five that one address can have.
        let places = Places::new(limits(10));
        let mut taken = Vec::new();
        for number in from {
            taken.push(places.take(Some(origin(number))).await.unwrap());
        }
        assert_eq!(is_swept(&places, &taken[0], SECONDS(2)), is_shorter);
    }
    let places = Places::new(limits(10));
    let mut taken = Vec::new();
    for number in 0..8 {
        taken.push(places.take(Some(origin(number))).await.unwrap());
    }
    assert!(is_swept(&places, &taken[0], SECONDS(2)));
}

#[tokio::test]
async fn a_request_does_not_begin_on_a_connection_that_is_being_closed() {
    let places = Places::new(limits(2));
    let first = places.take(Some(origin(1))).await.unwrap();
    assert!(places.close_oldest());
    assert_eq!(first.seat().begin(false, None), Err(NotBegun::Closed));
    assert!(!places.close_oldest());
}

#[tokio::test]
async fn a_new_connection_waits_for_an_answer_if_all_are_being_answered() {
    let places = Places::new(limits(1));
    let first = places.take(None).await.unwrap();
    first.seat().begin(false, None).unwrap();
    let mut second = Box::pin(places.take(None));
    assert!(second.as_mut().now_or_never().is_none());
    first.seat().answered();
    assert!(second.as_mut().now_or_never().is_none());
    first.closed().await;
    drop(first);
    assert!(second.await.is_some());
}

//! The number of open connections, in total and of each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use certgate_model::lock;

use super::limits::{Limits, number};

/// Bits of an IPv6 address that name a network (RFC 4291 §2.5.4). One client has all addresses of
/// its network, so these count as one.
const NETWORK_BITS: u32 = 64;

/// The open connections.
#[derive(Debug, Default)]
pub struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The limit that refuses a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// `connections`
    Total,
    /// `connections_per_address`
    Address,
}

impl Full {
    /// Counts a refused connection. Zero makes the counter visible.
    pub fn count(self, times: u64) {
        let limit = match self {
            Self::Total => "connections",
            Self::Address => "connections_per_address",
        };
        metrics::counter!("certgate_gateway_connections_refused_total", "limit" => limit)
            .increment(times);
    }
}

impl Places {
    /// Takes a place among all connections, until it is dropped.
    pub fn take(self: &Arc<Self>, limits: &Limits) -> Result<Place, Full> {
        let mut taken = lock(&self.0);
        if taken.total >= number(limits.connections) {
            return Err(Full::Total);
        }
        taken.total += 1;
        Ok(Place {
            places: self.clone(),
            address: None,
        })
    }
}

/// The place of one connection.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
}

impl Place {
    /// Counts the connection for the address of its client.
    pub fn count_for(&mut self, client: IpAddr, limits: &Limits) -> Result<(), Full> {
        let client = network(client);
        let mut taken = lock(&self.places.0);
        let count = taken.by_address.entry(client).or_default();
        if *count >= number(limits.connections_per_address) {
            return Err(Full::Address);
        }
        *count += 1;
        self.address = Some(client);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.places.0);
        taken.total -= 1;
        if let Some(address) = self.address
            && let Some(count) = taken.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> NETWORK_BITS << NETWORK_BITS;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        ipv4 => ipv4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_in_total_and_for_each_network() {
        let places = Arc::new(Places::default());
        let limits: Limits =
            toml::from_str("connections = 3\nconnections_per_address = 1").unwrap();
        let mut one = places.take(&limits).unwrap();
        let mut two = places.take(&limits).unwrap();
        one.count_for("2001:db8::1".parse().unwrap(), &limits)
            .unwrap();
        let same = "2001:db8::ffff".parse().unwrap();
        assert_eq!(two.count_for(same, &limits), Err(Full::Address));
        two.count_for("192.0.2.1".parse().unwrap(), &limits)
            .unwrap();
        let _three = places.take(&limits).unwrap();
        assert_eq!(places.take(&limits).unwrap_err(), Full::Total);
        drop(one);
        let mut next = places.take(&limits).unwrap();
        assert_eq!(next.count_for(same, &limits), Ok(()));
        drop((two, next));
        assert_eq!(lock(&places.0).by_address.len(), 0);
    }
}

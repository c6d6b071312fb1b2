use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Histogram};

/// The metrics of requests, kept at hand: to find one by its labels costs as much as to parse a request. The recorder must
/// be installed before the first request. Methods, routes and statuses are few.
#[derive(Default)]
pub(crate) struct RequestMetrics {
    of_routes: RwLock<HashMap<Box<str>, Vec<Metrics>>>,
}

struct Metrics {
    method: &'static str,
    status: StatusCode,
    requests: Counter,
    seconds: Histogram,
}

impl RequestMetrics {
    /// Counts one answered request.
    pub(crate) fn count(&self, method: &'static str, route: &str, status: StatusCode, took: Duration) {
        let matches = |metrics: &&Metrics| metrics.method == method && metrics.status == status;
        {
            let of_routes = self.of_routes.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = of_routes.get(route).and_then(|of_route| of_route.iter().find(matches)) {
                return known.count(took);
            }
        }
        let mut of_routes = self.of_routes.write().unwrap_or_else(PoisonError::into_inner);
        let of_route = of_routes.entry(route.into()).or_default();
        let made_meanwhile = of_route.iter().position(|metrics| matches(&metrics));
        let at = made_meanwhile.unwrap_or_else(|| {
            of_route.push(Metrics::new(method, route, status));
            of_route.len() - 1
        });
        of_route[at].count(took);
    }
}

impl Metrics {
    fn new(method: &'static str, route: &str, status: StatusCode) -> Self {
        let labels = [
            ("method", method.to_owned()),
            ("route", route.to_owned()),
            ("status", status.as_str().to_owned()),
        ];
        Self {
            method,
            status,
            requests: metrics::counter!("certgate_http_requests_total", &labels),
            seconds: metrics::histogram!("certgate_http_request_seconds", &labels[..2]),
        }
    }

    fn count(&self, took: Duration) {
        self.requests.increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

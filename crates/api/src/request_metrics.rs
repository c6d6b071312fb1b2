use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Histogram};

/// The metrics of requests by method, route and status, of which there are few. Finding a metric by
/// its labels in the recorder costs as much as parsing a request. The recorder must be installed
/// before the first request.
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
    pub(crate) fn count(
        &self,
        method: &'static str,
        route: &str,
        status: StatusCode,
        took: Duration,
    ) {
        let matches = |metrics: &&Metrics| metrics.method == method && metrics.status == status;
        {
            let of_routes = self
                .of_routes
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = of_routes
                .get(route)
                .and_then(|of_route| of_route.iter().find(matches))
            {
                return known.count(took);
            }
        }
        let mut of_routes = self
            .of_routes
            .write()
            .unwrap_or_else(PoisonError::into_inner);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use metrics::{
        Gauge, Key, KeyName, Metadata, Recorder, SharedString, Unit, with_local_recorder,
    };

    use super::*;

    #[derive(Default)]
    struct Counters(Mutex<HashMap<Key, Arc<AtomicU64>>>);

    impl Recorder for Counters {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(
                self.0
                    .lock()
                    .unwrap()
                    .entry(key.clone())
                    .or_default()
                    .clone(),
            )
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn requests_are_counted_by_method_route_and_status() {
        let recorder = Counters::default();
        with_local_recorder(&recorder, || {
            let metrics = RequestMetrics::default();
            for (method, route, status) in [
                ("GET", "/a", StatusCode::OK),
                ("GET", "/a", StatusCode::OK),
                ("GET", "/a", StatusCode::NOT_FOUND),
                ("POST", "/a", StatusCode::OK),
                ("GET", "/b", StatusCode::OK),
            ] {
                metrics.count(method, route, status, Duration::from_millis(1));
            }
        });
        let counters = recorder.0.into_inner().unwrap();
        let mut counted: Vec<_> = counters
            .iter()
            .map(|(key, count)| {
                let labels: Vec<_> = key.labels().map(|label| label.value()).collect();
                format!(
                    "{} {}: {}",
                    key.name(),
                    labels.join(" "),
                    count.load(Ordering::Relaxed)
                )
            })
            .collect();
        counted.sort();
        assert_eq!(
            counted,
            [
                "certgate_http_requests_total GET /a 200: 2",
                "certgate_http_requests_total GET /a 404: 1",
                "certgate_http_requests_total GET /b 200: 1",
                "certgate_http_requests_total POST /a 200: 1",
            ]
        );
    }
}

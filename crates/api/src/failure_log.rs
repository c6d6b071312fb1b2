//! Log lines of requests that failed by a fault of the server.

/// The text for the log. The answer carries it to the middleware, which writes the line.
#[derive(Debug, Clone)]
pub(crate) enum Inside {
    /// A dependency is unavailable for some time.
    Unavailable(String),
    /// The server has a defect.
    Internal(String),
}

impl Inside {
    /// Writes the line. The log limits the lines of each place in the code, so that defects have
    /// their own place: an unavailable database fails every request, and must not hide them.
    pub(crate) fn log(&self, id: &str, method: &str, route: &str, status: u16) {
        match self {
            Self::Unavailable(error) => {
                tracing::error!(request_id = %id, method, route, status, error, "request failed");
            }
            Self::Internal(error) => {
                tracing::error!(request_id = %id, method, route, status, error, "request failed");
            }
        }
    }
}

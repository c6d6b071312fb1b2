//! Statistics of measured times.

/// Measured seconds.
#[derive(Default, Clone)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, seconds: f64) {
        self.0.push(seconds);
    }

    pub fn extend(&mut self, others: &Self) {
        self.0.extend_from_slice(&others.0);
    }

    /// Removes the first sample, which includes the warm-up.
    pub fn without_first(mut self) -> Self {
        self.0.drain(..1);
        self
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the median of the quotients of these samples and others, one turn after the other.
    pub fn median_ratio(&self, others: &Self) -> f64 {
        let pairs = self.0.iter().zip(&others.0);
        Self(pairs.map(|(one, other)| one / other).collect()).median()
    }

    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
            .get(sorted.len() * percent / 100)
            .copied()
            .unwrap_or(f64::NAN)
    }
}

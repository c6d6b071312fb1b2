//! A run of the benchmark.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use xtask::sources::root;

use super::arguments::{Arguments, Databases, Part};
use super::figures::{Database, Figures, Measure};
use super::installation::Installation;
use super::keeper::Keeper;
use super::machine::Machine;
use super::postgres::Postgres;
use super::report::{self, Report};
use super::served::Bench;
use super::{crl, document, enrol, fill, fleet, hostile, issue, list, size, units};

/// The folder of PostgreSQL's files.
pub const CLUSTER: &str = "postgres";

/// A run of the benchmark.
pub struct Run {
    pub arguments: Arguments,
    pub binary: PathBuf,
    /// The folder of the installations.
    pub directory: PathBuf,
    pub keeper: Rc<Keeper>,
}

impl Run {
    /// Measures every size on every database.
    pub async fn all(&self, programs: Option<PathBuf>, sockets: &Path) -> anyhow::Result<()> {
        let results = self.arguments.results.clone();
        let results = results.unwrap_or_else(|| root().join("target/bench.jsonl"));
        let data = self.directory.join(CLUSTER);
        let start = |programs| Postgres::start(programs, &data, sockets);
        let postgres = programs.map(start).transpose()?;
        let machine = Machine::describe(self.arguments.seconds, postgres.as_ref())?;
        eprintln!("{} on {}", machine.commit, machine.processors);
        if let Some(postgres) = &machine.postgres {
            eprintln!("{postgres}");
        }
        let file = report::begin(&results, &machine)?;
        for certificates in self.arguments.certificates.iter().copied() {
            if self.arguments.database != Some(Databases::Postgres) {
                self.one(&file, certificates, None).await?;
            }
            if let Some(postgres) = &postgres {
                self.one(&file, certificates, Some(postgres)).await?;
            }
        }
        println!("{}", document::table(&Figures::read(&results)?));
        eprintln!(
            "The figures are in {0}; cargo xtask bench --plot {0} puts them into the documents.",
            results.display()
        );
        Ok(())
    }

    async fn installation(
        &self,
        name: &str,
        postgres: Option<&Postgres>,
    ) -> anyhow::Result<Installation> {
        let (name, url) = match postgres {
            None => (name.to_owned(), None),
            Some(postgres) => (
                format!("postgres_{name}"),
                Some(postgres.database(name).await?),
            ),
        };
        std::fs::create_dir_all(&self.directory)?;
        Installation::open_or_make(&self.binary, &self.directory.join(name), url)
    }

    /// Measures one database with a zone of one size.
    async fn one(&self, file: &File, n: u64, postgres: Option<&Postgres>) -> anyhow::Result<()> {
        let database = if postgres.is_some() {
            Database::Postgres
        } else {
            Database::Sqlite
        };
        eprintln!(
            "\n{}, {} certificates",
            database.name(),
            units::thousands(n as f64)
        );
        let revoked_one_in = self.arguments.revoked_one_in;
        let mut report = Report::new(file, database, n)?;
        let duration = Duration::from_secs(self.arguments.seconds);
        let empty = self.installation("empty", postgres).await?;
        let (binary, keeper) = (&self.binary, &self.keeper);
        if self.arguments.wants(Part::Hostile) {
            let hostile = self.installation(&format!("hostile_{n}"), postgres).await?;
            fill::fill(binary, &hostile, keeper, 1, &mut report).await?;
            hostile::measure(binary, &hostile, keeper, &mut report, duration).await?;
            if self.arguments.only == [Part::Hostile] {
                return Ok(());
            }
        }
        if self.arguments.wants(Part::Fleet) && postgres.is_none() {
            let devices = self.installation(&format!("fleet_{n}"), None).await?;
            let spread = fleet::simulate(binary, &devices, keeper, usize::try_from(n)?).await?;
            eprintln!("{spread}");
            report.add(report.figure(Measure::FleetDisk, spread.database_bytes))?;
            spread.check()?;
            if self.arguments.only == [Part::Fleet] {
                return Ok(());
            }
        }
        let name = format!("filled_{n}_{revoked_one_in}");
        let full = self.installation(&name, postgres).await?;
        fill::fill(binary, &full, keeper, revoked_one_in, &mut report).await?;

        // Parts that read come first, because parts that write make the zone larger.
        let mut memory_empty = None;
        if self.arguments.wants(Part::Start) {
            let memory = size::start(&self.binary, &empty, &full, &self.keeper, &mut report)?;
            memory_empty = Some(memory);
        }
        if self.arguments.wants(Part::Offset) {
            list::against_sql(&full, &mut report, duration).await?;
        }
        if self.arguments.wants(Part::Disk) {
            size::disk(&full, &mut report).await?;
        }
        if self.arguments.wants(Part::Crl) {
            crl::make(&full, &mut report, duration).await?;
            crl::long(&mut report)?;
        }
        if self.arguments.wants(Part::Enrol) {
            enrol::measure(binary, &full, keeper, &mut report, duration).await?;
        }
        let bench = Bench::start(
            &self.binary,
            &self.keeper,
            self.arguments.seconds,
            report,
            &full,
            postgres,
        )?;
        let (mut report, revoked_per_second) = bench.measure(&self.arguments, memory_empty).await?;
        if self.arguments.wants(Part::Commit) {
            issue::record(&full, &mut report, duration / 2).await?;
            issue::change(&full, &mut report, duration, revoked_per_second).await?;
        }
        Ok(())
    }
}

//! The components of the executable, in the form of CycloneDX 1.5.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use certgate_model::Timestamp;
use serde_json::{Value, json};

use super::outside::output_of;
use super::release::Release;
use crate::test::workspace::Workspace;

/// Returns the document: each crate that is linked into certgate, and the crates that it uses.
pub fn of(workspace: &Workspace, release: &Release) -> Result<String> {
    let platform = format!("{}-unknown-linux-gnu", release.machine);
    let arguments = ["metadata", "--locked", "--format-version=1"];
    let mut command = workspace.cargo(&arguments);
    let text = output_of(command.args(["--filter-platform", &platform]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = by_id(&metadata["packages"])?;
    let nodes = by_id(&metadata["resolve"]["nodes"])?;
    let root = packages
        .iter()
        .find(|(_, package)| package["name"] == "certgate")
        .map(|(id, _)| *id)
        .context("the workspace has no package certgate")?;

    let built = built(workspace, &platform)?;
    let mut linked = BTreeMap::new();
    let mut waiting = vec![root];
    while let Some(id) = waiting.pop() {
        if linked.contains_key(id) {
            continue;
        }
        let mut uses = uses(nodes.get(id).context("cargo resolves each package")?)?;
        uses.retain(|id| built.contains(&purl(packages[id])));
        waiting.extend(&uses);
        linked.insert(id, uses);
    }
    let reference = |id: &str| purl(packages[id]);
    let components: Vec<Value> = linked
        .keys()
        .filter(|id| **id != root)
        .map(|id| component(packages[id], "library"))
        .collect();
    let dependencies: Vec<Value> = linked
        .iter()
        .map(|(id, uses)| {
            let uses: Vec<String> = uses.iter().map(|id| reference(id)).collect();
            json!({"ref": reference(id), "dependsOn": uses})
        })
        .collect();
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": Timestamp::from_unix(release.epoch).to_string(),
            "component": component(packages[root], "application"),
        },
        "components": components,
        "dependencies": dependencies,
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// Returns the package URLs of the crates that cargo builds for certgate. The metadata have those
/// of every feature that a member of the workspace needs.
fn built(workspace: &Workspace, platform: &str) -> Result<BTreeSet<String>> {
    let arguments = ["tree", "--locked", "--package=certgate", "--edges=normal"];
    let mut command = workspace.cargo(&arguments);
    command.args(["--prefix=none", "--format={p}", "--target", platform]);
    let listed = output_of(&mut command)?;
    let names = listed.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        Some(format!("pkg:cargo/{name}@{version}"))
    });
    Ok(names.collect())
}

fn by_id(list: &Value) -> Result<BTreeMap<&str, &Value>> {
    let list = list.as_array().context("cargo metadata prints a list")?;
    list.iter()
        .map(|entry| Ok((entry["id"].as_str().context("an ID")?, entry)))
        .collect()
}

/// Returns the IDs of the packages that a package links: neither tests nor build scripts.
fn uses(node: &Value) -> Result<BTreeSet<&str>> {
    let all = node["deps"].as_array().context("a list of dependencies")?;
    let linked = all.iter().filter(|one| {
        let kinds = one["dep_kinds"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
    });
    linked
        .map(|one| one["pkg"].as_str().context("an ID"))
        .collect()
}

fn component(package: &Value, kind: &str) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    });
    // Some crates still separate alternatives by a slash.
    if let Some(licence) = package["license"].as_str() {
        let alternatives: Vec<&str> = licence.split('/').map(str::trim).collect();
        component["licenses"] = json!([{"expression": alternatives.join(" OR ")}]);
    }
    component
}

fn purl(package: &Value) -> String {
    let text = |name: &str| package[name].as_str().unwrap_or_default();
    format!("pkg:cargo/{}@{}", text("name"), text("version"))
}

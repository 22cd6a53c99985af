//! `weft apply`, `get`, `describe` and `delete`: objects by their names.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};
use weft_client::{api, apply as applying, documents};
use weft_model::ObjectType;

use crate::cli::{ApplyArgs, Format, GetArgs, NameArgs, TargetArgs};
use crate::output::{self, Column, column, wide};
use crate::target::Target;

/// Short names of common types.
const SHORT: [(&str, ObjectType); 12] = [
    ("vn", ObjectType::VirtualNetwork),
    ("network", ObjectType::VirtualNetwork),
    ("vm", ObjectType::VirtualMachine),
    ("vmi", ObjectType::VirtualMachineInterface),
    ("iip", ObjectType::InstanceIp),
    ("vr", ObjectType::VirtualRouter),
    ("np", ObjectType::NetworkPolicy),
    ("policy", ObjectType::NetworkPolicy),
    ("sg", ObjectType::SecurityGroup),
    ("ri", ObjectType::RoutingInstance),
    ("rt", ObjectType::RouteTarget),
    ("acl", ObjectType::AccessControlList),
];

fn kind(name: &str) -> anyhow::Result<ObjectType> {
    let singular = name.strip_suffix('s').unwrap_or(name);
    let short = SHORT.iter().find(|(s, _)| *s == name || *s == singular);
    match short {
        Some((_, kind)) => Ok(*kind),
        None => Ok(api::object_type(name)?),
    }
}

pub(crate) async fn apply(target: &TargetArgs, args: &ApplyArgs, format: Format) -> anyhow::Result<ExitCode> {
    let target = Target::new(target)?;
    let mut wanted = Vec::new();
    for file in &args.file {
        let (text, place) = read(file)?;
        wanted.extend(documents::parse(&text, &place)?);
    }
    anyhow::ensure!(
        !wanted.is_empty(),
        "no objects in the input; write {{virtual-network: {{fq_name: a:b:c}}}}"
    );
    let done = applying::apply(&target.api, wanted, args.dry_run).await?;
    if matches!(format, Format::Json | Format::Yaml) {
        let report: Vec<Value> = done
            .iter()
            .map(|d| json!({"type": d.kind.name(), "fq_name": d.fq_name, "uuid": d.uuid, "action": d.action.to_string(), "changes": d.changes}))
            .collect();
        output::value(format, &report)?;
        return Ok(ExitCode::SUCCESS);
    }
    for item in done {
        let note = if args.dry_run { " (dry run)" } else { "" };
        output::print(&format!("{} {} {}{note}\n", item.kind.name(), item.fq_name.join(":"), item.action));
        if args.dry_run || item.action == applying::Action::Updated {
            item.changes.iter().for_each(|c| output::print(&format!("  {c}\n")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<(String, String)> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input")?;
        return Ok((text, "standard input".into()));
    }
    let place = file.display().to_string();
    Ok((std::fs::read_to_string(file).with_context(|| place.clone())?, place))
}

pub(crate) async fn get(target: &TargetArgs, args: &GetArgs, format: Format) -> anyhow::Result<ExitCode> {
    let target = Target::new(target)?;
    let kind = kind(&args.kind)?;
    let objects = match &args.name {
        Some(name) => vec![target.api.read(kind, &target.api.resolve(kind, name).await?).await?],
        None => target.api.list(kind, true).await?,
    };
    if matches!(format, Format::Json | Format::Yaml) {
        // In the form that `weft apply` takes.
        let wrapped: Vec<Value> = objects.iter().map(|o| json!({ kind.name(): o })).collect();
        match wrapped.as_slice() {
            [one] if args.name.is_some() => output::value(format, one)?,
            all => output::value(format, &all)?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = objects;
    for row in &mut rows {
        row["subnets"] = json!(subnets(row));
        row["name"] = json!(api::fq_name_of(row).join(":"));
    }
    rows.sort_by_key(|r| r["name"].as_str().map(str::to_owned));
    output::list(format, &columns(kind), &rows)?;
    Ok(ExitCode::SUCCESS)
}

/// The prefixes of a network.
fn subnets(network: &Value) -> Vec<String> {
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let subnets =
        list(&network["network_ipam_refs"]).into_iter().flat_map(|r| list(&r["attr"]["ipam_subnets"]));
    subnets
        .map(|s| format!("{}/{}", output::words(&s["subnet"]["ip_prefix"]), s["subnet"]["ip_prefix_len"]))
        .collect()
}

/// Columns that say most about a type; every type has name and uuid.
fn columns(kind: ObjectType) -> Vec<Column> {
    let special: &[Column] = match kind {
        ObjectType::VirtualNetwork => &[
            column("ID", &["/virtual_network_network_id"]),
            column("SUBNETS", &["/subnets"]),
            column("POLICIES", &["/network_policy_refs"]),
        ],
        ObjectType::VirtualMachineInterface => &[
            column("MAC", &["/virtual_machine_interface_mac_addresses/mac_address"]),
            column("NETWORK", &["/virtual_network_refs"]),
            wide("MACHINE", &["/virtual_machine_refs"]),
            wide("SECURITY GROUPS", &["/security_group_refs"]),
        ],
        ObjectType::InstanceIp => &[
            column("ADDRESS", &["/instance_ip_address"]),
            column("NETWORK", &["/virtual_network_refs"]),
            wide("INTERFACE", &["/virtual_machine_interface_refs"]),
        ],
        ObjectType::VirtualRouter => &[
            column("ADDRESS", &["/virtual_router_ip_address"]),
            column("MACHINES", &["/virtual_machine_refs"]),
        ],
        ObjectType::SecurityGroup => &[column("ID", &["/security_group_id"])],
        ObjectType::RoutingInstance => &[column("TARGETS", &["/route_target_refs"])],
        ObjectType::NetworkPolicy => &[wide("RULES", &["/network_policy_entries/policy_rule"])],
        _ => &[],
    };
    let mut columns = vec![column("NAME", &["/name"])];
    columns.extend(special);
    columns.push(wide("UUID", &["/uuid"]));
    columns
}

pub(crate) async fn describe(
    target: &TargetArgs,
    args: &NameArgs,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let target = Target::new(target)?;
    let kind = kind(&args.kind)?;
    let uuid = target.api.resolve(kind, &args.name).await?;
    let object = target.api.read(kind, &uuid).await?;
    if matches!(format, Format::Json | Format::Yaml) {
        output::value(format, &json!({ kind.name(): object }))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&describe_text(kind, &object)?);
    Ok(ExitCode::SUCCESS)
}

/// Properties first, then who it refers to, who is under it, who refers to it.
fn describe_text(kind: ObjectType, object: &Value) -> anyhow::Result<String> {
    let name = api::fq_name_of(object).join(":");
    let uuid = object["uuid"].as_str().unwrap_or_default();
    let mut text = format!("{} {name}\nuuid: {uuid}\n", kind.name());
    let skip = ["fq_name", "uuid", "name", "href", "parent_href", "id_perms", "perms2"];
    let fields = object.as_object().into_iter().flatten();
    let fields: Vec<(&String, &Value)> =
        fields.filter(|(k, v)| !skip.contains(&k.as_str()) && !v.is_null()).collect();
    let links = |name: &str| name.ends_with("_refs");
    let children: Vec<String> = kind.info().children().map(|c| format!("{}s", c.json_name())).collect();
    for (name, value) in fields.iter().filter(|(n, _)| !links(n) && !children.contains(n)) {
        text.push_str(&serde_saphyr::to_string(&json!({ name.as_str(): value }))?);
    }
    for (heading, wanted) in [("refers to", 0), ("children", 1), ("referred to by", 2)] {
        let group = |name: &str| match (children.iter().any(|c| c == name), name.ends_with("back_refs")) {
            (true, _) => 1,
            (false, back) => {
                if back {
                    2
                } else {
                    0
                }
            }
        };
        let shown = fields.iter().filter(|(n, _)| (links(n) || children.contains(n)) && group(n) == wanted);
        let lines: Vec<String> = shown.flat_map(|(n, v)| link_lines(n, v)).collect();
        if !lines.is_empty() {
            text.push_str(&format!("{heading}:\n{}", lines.concat()));
        }
    }
    Ok(text)
}

fn link_lines(field: &str, links: &Value) -> Vec<String> {
    let kind = field
        .trim_end_matches("_back_refs")
        .trim_end_matches("_refs")
        .trim_end_matches('s')
        .replace('_', "-");
    let line = |link: &Value| {
        let attr = link.get("attr").filter(|a| !a.is_null()).map(|a| format!("  {a}")).unwrap_or_default();
        format!("  {kind} {}{attr}\n", output::words(&json!({"to": link["to"]})))
    };
    links.as_array().into_iter().flatten().map(line).collect()
}

pub(crate) async fn delete(target: &TargetArgs, args: &NameArgs) -> anyhow::Result<ExitCode> {
    let target = Target::new(target)?;
    let kind = kind(&args.kind)?;
    let uuid = target.api.resolve(kind, &args.name).await?;
    target.api.delete(kind, &uuid).await?;
    output::print(&format!("{} {} deleted\n", kind.name(), args.name));
    Ok(ExitCode::SUCCESS)
}

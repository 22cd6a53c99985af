//! `weft get`, `describe` and `delete`: objects by their names.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};
use weft_client::api;
use weft_model::ObjectType;

use crate::cli::{Format, TargetArgs};
use crate::filters::{Filters, sort_key};
use crate::kinds::KindArg;
use crate::object_args::{GetArgs, NameArgs};
use crate::output::{self, Column, column, wide};
use crate::target::Target;
use crate::watch_cmd;

/// The object of a command line: `TYPE NAME` or `TYPE/NAME`.
pub(crate) async fn one(
    target: &Target,
    kind: &KindArg,
    name: Option<&str>,
) -> anyhow::Result<(ObjectType, String)> {
    let name = name.or(kind.name.as_deref());
    let name = name.with_context(|| format!("which {}? give its name or uuid", kind.kind))?;
    Ok((kind.kind, target.api.resolve(kind.kind, name).await?))
}

pub(crate) async fn get(target: &TargetArgs, args: &GetArgs, format: Format) -> anyhow::Result<ExitCode> {
    let target = Target::new(target)?;
    let kind = args.kind.kind;
    let named = args.name.is_some() || args.kind.name.is_some();
    let uuid = match named {
        true => Some(one(&target, &args.kind, args.name.as_deref()).await?.1),
        false => None,
    };
    let filters = Filters::new(&target.api, args, uuid.clone()).await?;
    if args.watch {
        let wanted = |change: &weft_client::watch::Change| filters.accept(&change.object);
        return watch_cmd::follow(target.api.http(), &[kind], true, format, wanted).await;
    }
    let mut objects = match uuid {
        Some(uuid) => vec![target.api.read(kind, &uuid).await?],
        None => target.api.select(kind, &filters.query()).await?,
    };
    objects.retain(|object| filters.accept(object));
    objects.sort_by_cached_key(|object| sort_key(object, &args.sort_by));
    match format {
        // In the form that `weft apply` takes.
        Format::Json | Format::Yaml => {
            let wrapped: Vec<Value> = objects.iter().map(|o| json!({ kind.name(): o })).collect();
            match wrapped.as_slice() {
                [one] if named => output::value(format, one)?,
                all => output::value(format, &all)?,
            }
        }
        Format::Name => objects.iter().for_each(|o| output::print(&name_line(kind, o))),
        Format::Table | Format::Wide => {
            for row in &mut objects {
                row["subnets"] = json!(subnets(row));
                row["name"] = json!(api::fq_name_of(row).join(":"));
            }
            output::list(format, &columns(kind), &objects)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn name_line(kind: ObjectType, object: &Value) -> String {
    format!("{kind}/{}\n", api::fq_name_of(object).join(":"))
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
    let (kind, uuid) = one(&target, &args.kind, args.name.as_deref()).await?;
    let object = target.api.read(kind, &uuid).await?;
    if matches!(format, Format::Json | Format::Yaml) {
        output::value(format, &json!({ kind.name(): object }))?;
        return Ok(ExitCode::SUCCESS);
    }
    match format {
        Format::Name => output::print(&name_line(kind, &object)),
        _ => output::print(&describe_text(kind, &object)?),
    }
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

pub(crate) async fn delete(target: &TargetArgs, args: &NameArgs, format: Format) -> anyhow::Result<ExitCode> {
    let target = Target::new(target)?;
    let (kind, uuid) = one(&target, &args.kind, args.name.as_deref()).await?;
    target.api.delete(kind, &uuid).await?;
    let name = args.name.as_deref().or(args.kind.name.as_deref()).unwrap_or_default();
    match format {
        Format::Json | Format::Yaml => {
            output::value(format, &json!({"type": kind.name(), "uuid": uuid, "action": "deleted"}))?;
        }
        Format::Name => output::print(&format!("{kind}/{name}\n")),
        Format::Table | Format::Wide => output::print(&format!("{kind} {name} deleted\n")),
    }
    Ok(ExitCode::SUCCESS)
}

//! The walk as a table by object type, worked out once from the model's declarations and the white-list.

use super::whitelist::{LINK_NAMES, links_out_of};
use std::collections::HashMap;
use std::sync::LazyLock;
use weft_model::ObjectType;

/// How the node a step leads to hangs together with the node it starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// To the parent.
    Parent,
    /// To a child.
    Child,
    /// To what the node refers to.
    Target,
    /// To what refers to the node.
    Referrer,
}

/// A step the walk may take out of nodes of one type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) relation: Relation,
    pub(super) other: ObjectType,
    /// The link is a node of its own, between the two.
    pub(super) attributed: bool,
}

/// A kind of link between two object types.
#[derive(Debug, Clone)]
pub(super) struct LinkType {
    pub(super) name: String,
    /// The walk may go from the holder (or parent) to the target (or child).
    pub(super) forward: bool,
    /// The walk may go the other way.
    pub(super) backward: bool,
    /// The link is a node of its own.
    attributed: bool,
}

/// What is known about links.
#[derive(Debug, Default)]
pub(super) struct Schema {
    steps: HashMap<ObjectType, Vec<Step>>,
    parents: HashMap<(ObjectType, ObjectType), LinkType>,
    refs: HashMap<(ObjectType, ObjectType), LinkType>,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::new);

impl Schema {
    /// The table.
    pub(super) fn get() -> &'static Schema {
        &SCHEMA
    }

    /// Steps out of nodes of a type.
    pub(super) fn steps(&self, from: ObjectType) -> &[Step] {
        self.steps.get(&from).map_or(&[], Vec::as_slice)
    }

    /// The link between a parent and a child.
    pub(super) fn parent_link(&self, parent: ObjectType, child: ObjectType) -> Option<&LinkType> {
        self.parents.get(&(parent, child))
    }

    /// The link between a holder of a reference and its target.
    pub(super) fn ref_link(&self, from: ObjectType, to: ObjectType) -> Option<&LinkType> {
        self.refs.get(&(from, to))
    }

    fn new() -> Self {
        let mut schema = Self::default();
        for object_type in ObjectType::ALL {
            let info = object_type.info();
            for parent in info.parents {
                let link = link_type(*parent, *object_type, false);
                schema.steps_along(*parent, *object_type, &link, Relation::Child, Relation::Parent);
                schema.parents.insert((*parent, *object_type), link);
            }
            for reference in info.refs {
                let link = link_type(*object_type, reference.to, reference.attr.is_some());
                schema.steps_along(*object_type, reference.to, &link, Relation::Target, Relation::Referrer);
                schema.refs.insert((*object_type, reference.to), link);
            }
        }
        schema
    }

    fn steps_along(
        &mut self,
        from: ObjectType,
        to: ObjectType,
        link: &LinkType,
        there: Relation,
        back: Relation,
    ) {
        let attributed = link.attributed;
        if link.forward {
            self.steps.entry(from).or_default().push(Step { relation: there, other: to, attributed });
        }
        if link.backward {
            self.steps.entry(to).or_default().push(Step { relation: back, other: from, attributed });
        }
    }
}

fn link_type(from: ObjectType, to: ObjectType, attributed: bool) -> LinkType {
    let special = LINK_NAMES.iter().find(|(f, t, _)| *f == from.name() && *t == to.name());
    let name =
        special.map_or_else(|| format!("{}-{}", from.name(), to.name()), |(_, _, name)| (*name).to_owned());
    let sent = |object_type: ObjectType| links_out_of(object_type.name()).is_some();
    // An attributed link is walked through its own node, which must be listed as well.
    let passable = sent(from) && sent(to) && (!attributed || listed(&name, &name));
    LinkType {
        forward: passable && listed(from.name(), &name),
        backward: passable && listed(to.name(), &name),
        name,
        attributed,
    }
}

fn listed(node_type: &str, link: &str) -> bool {
    links_out_of(node_type).is_some_and(|links| links.contains(&link))
}

#[cfg(test)]
mod tests {
    use super::super::whitelist::WALK;
    use super::*;
    use std::collections::BTreeSet;

    /// Every white-listed link between types the model knows is one the model makes, under the very same name.
    #[test]
    fn the_white_list_and_the_model_agree_on_names() {
        let schema = Schema::get();
        let made: BTreeSet<&str> =
            schema.parents.values().chain(schema.refs.values()).map(|link| link.name.as_str()).collect();
        let known: BTreeSet<&str> = ObjectType::ALL.iter().map(|t| t.name()).collect();
        let mut checked = 0;
        for (node_type, links) in WALK {
            for link in links.iter().filter(|_| known.contains(node_type)) {
                let splits = link.match_indices('-').map(|(at, _)| link.split_at(at));
                let both_known = splits.map(|(a, b)| (a, b.trim_start_matches('-')));
                for (a, b) in both_known.filter(|(a, b)| known.contains(a) && known.contains(b)) {
                    assert!(made.contains(link), "{link} between {a} and {b}");
                    checked += 1;
                }
            }
        }
        assert!(checked > 15, "only {checked} links checked");
    }

    #[test]
    fn fan_in_is_never_walked() {
        let from = |object_type| -> BTreeSet<ObjectType> {
            Schema::get().steps(object_type).iter().map(|step| step.other).collect()
        };
        let network = [ObjectType::NetworkIpam, ObjectType::AccessControlList, ObjectType::RoutingInstance];
        assert!(from(ObjectType::VirtualNetwork).is_superset(&BTreeSet::from(network)));
        assert!(!from(ObjectType::VirtualNetwork).contains(&ObjectType::VirtualMachineInterface));
        assert_eq!(from(ObjectType::SecurityGroup), BTreeSet::from([ObjectType::AccessControlList]));
        let system = [
            ObjectType::GlobalVrouterConfig,
            ObjectType::GlobalQosConfig,
            ObjectType::QosConfig,
            ObjectType::BgpRouter,
        ];
        assert_eq!(from(ObjectType::GlobalSystemConfig), BTreeSet::from(system));
        let project = [ObjectType::Tag, ObjectType::LogicalRouter, ObjectType::HostBasedService];
        assert_eq!(from(ObjectType::Project), BTreeSet::from(project));
    }
}

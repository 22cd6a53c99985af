//! Rules of api-access-lists: which roles may create, read, update and delete objects of which type, or single fields of
//! them (wire-facts 2.3). Pure.

use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use weft_model::ObjectType;

/// The rule object or role that stands for all.
const ALL: &str = "*";
/// Fields of a body that say which object it is, and so are nobody's to grant.
const IDENTIFYING: &[&str] = &["uuid", "fq_name"];

/// What is done, as the letters of `role_crud`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Read,
    Update,
    Delete,
}

impl Operation {
    fn letter(self) -> char {
        match self {
            Self::Create => 'C',
            Self::Read => 'R',
            Self::Update => 'U',
            Self::Delete => 'D',
        }
    }

    /// For messages.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One rule: letters by role for an object or one of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// A type's name, the name of an action, or `*`.
    object: String,
    /// `None` for the whole object.
    field: Option<String>,
    /// Role and letters.
    perms: Vec<(String, String)>,
}

impl Rule {
    /// The rules of `api_access_list_entries`. What has no object or no roles grants nothing.
    pub(crate) fn read(entries: &Value) -> Vec<Self> {
        let rules = entries.get("rbac_rule").and_then(Value::as_array);
        rules.into_iter().flatten().filter_map(Self::read_one).collect()
    }

    fn read_one(rule: &Value) -> Option<Self> {
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let object = rule_object(&text(rule, "rule_object")?);
        let field = text(rule, "rule_field").filter(|field| !field.is_empty() && field != ALL);
        let perms = rule.get("rule_perms").and_then(Value::as_array);
        let perm = |perm: &Value| Some((text(perm, "role_name")?, text(perm, "role_crud")?));
        Some(Self { object, field, perms: perms.into_iter().flatten().filter_map(perm).collect() })
    }
}

/// Types may be named in plural and with underscores.
fn rule_object(text: &str) -> String {
    let text = text.trim();
    let of_type = |name: &str| name.parse::<ObjectType>().ok().map(|t| t.name().to_owned());
    let of_collection =
        || ObjectType::ALL.iter().find(|t| t.collection() == text).map(|t| t.name().to_owned());
    let singular = || text.strip_suffix('s').and_then(of_type);
    of_type(text).or_else(of_collection).or_else(singular).unwrap_or_else(|| text.to_owned())
}

/// Letters by role.
#[derive(Debug, Default)]
struct Grants(Vec<(String, String)>);

impl Grants {
    fn allow(&self, roles: &[String], operation: Operation) -> bool {
        let holds = |role: &str| role == ALL || roles.iter().any(|held| held.eq_ignore_ascii_case(role));
        self.0.iter().any(|(role, letters)| letters.contains(operation.letter()) && holds(role))
    }
}

/// All rules that hold for somebody, merged by object and field.
#[derive(Debug, Default)]
pub(crate) struct RuleSet {
    whole: HashMap<String, Grants>,
    fields: HashMap<String, BTreeMap<String, Grants>>,
}

impl RuleSet {
    /// Merges rules: for the same object and field, what either grants is granted.
    pub(crate) fn new<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Self {
        let mut set = Self::default();
        for rule in rules {
            let grants = match &rule.field {
                None => set.whole.entry(rule.object.clone()).or_default(),
                Some(field) => {
                    set.fields.entry(rule.object.clone()).or_default().entry(field.clone()).or_default()
                }
            };
            grants.0.extend(rule.perms.iter().cloned());
        }
        set
    }

    /// Whether single fields of the object have rules, so that a body must be looked at.
    pub(crate) fn has_field_rules(&self, object: &str) -> bool {
        self.fields.contains_key(object) || self.fields.contains_key(ALL)
    }

    /// Whether a holder of `roles` may do this. A rule for a field of the body decides on that field; the rule for the
    /// object decides on all others, the rule for `*` where the object has none. Without a rule nothing is allowed.
    pub(crate) fn allows<'a>(
        &self,
        roles: &[String],
        operation: Operation,
        object: &str,
        fields: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let (mut given, mut ruled) = (0usize, 0usize);
        for field in fields.into_iter().filter(|f| !IDENTIFYING.contains(f)) {
            given += 1;
            if let Some(grants) = self.field(object, field) {
                if !grants.allow(roles, operation) {
                    return false;
                }
                ruled += 1;
            }
        }
        if ruled > 0 && ruled == given {
            return true;
        }
        let whole = self.whole.get(object).or_else(|| self.whole.get(ALL));
        whole.is_some_and(|grants| grants.allow(roles, operation))
    }

    fn field(&self, object: &str, field: &str) -> Option<&Grants> {
        let of = |object: &str| self.fields.get(object)?.get(field);
        of(object).or_else(|| of(ALL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(rules: Value) -> RuleSet {
        RuleSet::new(&Rule::read(&json!({"rbac_rule": rules})))
    }

    fn rule(object: &str, field: &str, role: &str, crud: &str) -> Value {
        json!({"rule_object": object, "rule_field": field,
            "rule_perms": [{"role_name": role, "role_crud": crud}]})
    }

    fn may(set: &RuleSet, role: &str, operation: Operation, object: &str, fields: &[&str]) -> bool {
        set.allows(&[role.to_owned()], operation, object, fields.iter().copied())
    }

    #[test]
    fn the_rule_for_the_type_goes_before_the_one_for_all() {
        use Operation::*;
        let set = set(json!([rule("*", "", "Member", "CRUD"), rule("virtual-networks", "", "Member", "R")]));
        assert!(may(&set, "member", Read, "virtual-network", &[]));
        assert!(!may(&set, "member", Create, "virtual-network", &["parent_type"]));
        assert!(may(&set, "member", Create, "network-policy", &[]));
        assert!(!may(&set, "guest", Read, "virtual-network", &[]));
        assert!(!may(&RuleSet::default(), "member", Read, "virtual-network", &[]));
    }

    #[test]
    fn lists_add_up_and_plurals_and_underscores_name_types() {
        use Operation::*;
        let set = set(json!([
            rule("virtual_network", "*", "a", "R"),
            rule("virtual-network", "", "a", "U"),
            rule("virtual-networks", "", "*", "D"),
        ]));
        for operation in [Read, Update, Delete] {
            assert!(may(&set, "a", operation, "virtual-network", &[]), "{operation:?}");
        }
        assert!(!may(&set, "b", Read, "virtual-network", &[]));
        assert!(may(&set, "b", Delete, "virtual-network", &[]));
    }

    #[test]
    fn field_rules_decide_on_their_fields_alone() {
        use Operation::*;
        let set = set(json!([
            rule("virtual-network", "is_shared", "boss", "U"),
            rule("virtual-network", "", "member", "CRU"),
            rule("*", "perms2", "boss", "U"),
        ]));
        assert!(may(&set, "member", Update, "virtual-network", &["display_name", "uuid"]));
        assert!(!may(&set, "member", Update, "virtual-network", &["display_name", "is_shared"]));
        assert!(!may(&set, "member", Update, "virtual-network", &["perms2"]));
        assert!(may(&set, "boss", Update, "virtual-network", &["is_shared", "perms2", "fq_name"]));
        assert!(!may(&set, "boss", Update, "virtual-network", &["is_shared", "display_name"]));
        assert!(set.has_field_rules("virtual-network") && set.has_field_rules("network-policy"));
    }

    proptest::proptest! {
        #[test]
        fn no_entries_panic(text in "[\\[\\]{}\":,a-z*_]{0,60}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = RuleSet::new(&Rule::read(&value));
            }
        }

        /// Adding a rule for a whole object never takes anything away that another such rule gave to the same object.
        #[test]
        fn more_rules_for_an_object_never_allow_less(
            rules in proptest::collection::vec(("[ab]", "[CRUD]{0,3}"), 1..6), more in ("[ab]", "[CRUD]{0,3}")
        ) {
            use Operation::*;
            let all: Vec<Value> = rules.iter().map(|(role, crud)| rule("tag", "", role, crud)).collect();
            let mut extended = all.clone();
            extended.push(rule("tag", "", &more.0, &more.1));
            let (less, more) = (set(json!(all)), set(json!(extended)));
            for operation in [Create, Read, Update, Delete] {
                for role in ["a", "b", "c"] {
                    let before = may(&less, role, operation, "tag", &[]);
                    proptest::prop_assert!(!before || may(&more, role, operation, "tag", &[]));
                }
            }
        }
    }
}

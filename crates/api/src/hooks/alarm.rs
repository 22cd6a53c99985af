//! alarm: rules that can be evaluated.

use super::values::{at, items, prop, text};
use crate::ApiError;
use serde_json::Value;
use weft_model::Object;

pub(super) fn put(new: &Object) -> Result<(), ApiError> {
    let rules = prop(new, "alarm_rules");
    if rules.is_null() {
        return Err(ApiError::bad_request(format!("alarm_rules of {} not specified or null", new.fq_name)));
    }
    for (outer, list) in items(rules, &["or_list"]).iter().enumerate() {
        for (inner, condition) in items(list, &["and_list"]).iter().enumerate() {
            check(condition, &format!("alarm_rules.or_list[{outer}].and_list[{inner}]"))?;
        }
    }
    Ok(())
}

fn check(condition: &Value, what: &str) -> Result<(), ApiError> {
    let fail = |message: String| Err(ApiError::bad_request(format!("{what}: {message}")));
    let operand = at(condition, &["operand2"]);
    let json = match (text(operand, "uve_attribute"), text(operand, "json_value")) {
        (Some(_), Some(_)) => {
            return fail("operand2 should have either 'uve_attribute' or 'json_value', not both".into());
        }
        (None, None) => return fail("operand2 should have 'uve_attribute' or 'json_value'".into()),
        (_, json) => json,
    };
    let value = match json.map(|text| (text, serde_json::from_str::<Value>(text))) {
        Some((text, Err(_))) => return fail(format!("Invalid json_value {text:?}")),
        Some((_, Ok(value))) => Some(value),
        None => None,
    };
    if text(condition, "operation") != Some("range") {
        return Ok(());
    }
    let bounds = value.as_ref().and_then(Value::as_array).map(Vec::as_slice);
    match bounds {
        Some([first, last]) if first.as_f64().zip(last.as_f64()).is_some_and(|(a, b)| a < b) => Ok(()),
        _ => fail(format!(
            "Invalid json_value {:?} for 'range' operation. json_value should be specified as '[x, y]', where x < y",
            json.unwrap_or_default()
        )),
    }
}

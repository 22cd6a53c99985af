//! One property's value; the first two bytes select type and property. The stored form is stored unchanged.
#![no_main]

use weft_model::{ObjectType, validate};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [type_selector, prop_selector, json @ ..] = data else { return };
    let object_type = ObjectType::ALL[usize::from(*type_selector) % ObjectType::ALL.len()];
    let props: Vec<_> = object_type.info().all_props().collect();
    let prop = props[usize::from(*prop_selector) % props.len()];
    let Ok(value) = serde_json::from_slice(json) else { return };
    if let Ok(Some(stored)) = validate::property(object_type, prop.name, &value) {
        let again = validate::property(object_type, prop.name, &stored);
        assert_eq!(again.ok().flatten().as_ref(), Some(&stored), "{object_type} {}", prop.name);
    }
});

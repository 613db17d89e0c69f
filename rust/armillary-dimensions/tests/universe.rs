//! The universe of the default document against the facts of the repository format.

use armillary_dimensions::{Universe, Value};
use std::sync::Arc;

fn names(universe: &Universe, list: &[armillary_dimensions::ElementIndex]) -> Vec<String> {
    list.iter().map(|index| universe.get(*index).name.clone()).collect()
}

#[test]
fn elements_stand_in_the_order_of_the_format() {
    let universe = Universe::default_universe();
    let stored: Vec<&str> = universe
        .elements()
        .iter()
        .map(|e| e.name.as_str())
        .filter(|n| !n.starts_with("htm") && !n.starts_with("healpix"))
        .collect();
    assert_eq!(
        stored,
        [
            "band",
            "instrument",
            "skymap",
            "ssp_hypothesis_table",
            "day_obs",
            "detector",
            "group",
            "physical_filter",
            "ssp_balanced_index",
            "ssp_hypothesis_bundle",
            "subfilter",
            "tract",
            "visit_system",
            "exposure",
            "patch",
            "visit",
            "visit_definition",
            "visit_detector_region",
            "visit_system_membership"
        ]
    );
    assert_eq!(universe.elements()[1].name, "healpix1");
    assert_eq!(universe.elements()[41].name, "htm24");
    assert_eq!(universe.elements().len(), 60);
}

#[test]
fn a_group_knows_required_and_implied_dimensions() {
    let universe = Universe::default_universe();
    let info = universe.info(universe.group(["visit", "detector"]).unwrap());
    assert_eq!(names(&universe, &info.required), ["instrument", "detector", "visit"]);
    assert_eq!(names(&universe, &info.implied), ["band", "day_obs", "physical_filter"]);
    assert_eq!(names(&universe, &info.spatial), ["visit_detector_region"]);
    assert_eq!(names(&universe, &info.temporal), ["visit"]);
    assert!(names(&universe, &info.elements).contains(&"visit_detector_region".to_owned()));
}

#[test]
fn fields_stand_in_the_order_of_the_columns() {
    let universe = Universe::default_universe();
    let fields: Vec<&str> = universe.element("visit").unwrap().fields.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(
        fields,
        [
            "instrument",
            "id",
            "day_obs",
            "physical_filter",
            "name",
            "seq_num",
            "exposure_time",
            "target_name",
            "observation_reason",
            "science_program",
            "azimuth",
            "zenith_angle",
            "region",
            "timespan"
        ]
    );
}

#[test]
fn an_unknown_name_has_a_nearest() {
    let error = Universe::default_universe().group(["detectr"]).unwrap_err();
    assert_eq!(error.to_string(), "no dimension is called `detectr`; did you mean `detector`?");
}

#[test]
fn a_bad_document_is_refused_with_the_reason() {
    for (text, reason) in [
        ("{", "not JSON"),
        ("[]", "not an object"),
        (r#"{"version": 1, "skypix": {"common": "htm7", "htm": {}}, "elements": {"a": {"requires": ["b"]}}}"#, "`b`"),
        (
            r#"{"version": 1, "skypix": {"common": "htm7", "htm": {}}, "elements": {"a": {"requires": ["b"]}, "b": {"implies": ["a"]}}}"#,
            "circle",
        ),
    ] {
        let message = Universe::from_json(text).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn columns_keep_unknown_values() {
    use armillary_dimensions::{Column, ColumnType};
    let mut column = Column::new(ColumnType::Int);
    column.push_int(1);
    column.push(&Value::Null);
    column.push_int(3);
    let taken = column.take(&[2_usize, 1]);
    assert_eq!((taken.get(0), taken.get(1)), (Value::Int(3), Value::Null));
}

/// The default document with changes made to its parts.
fn changed(change: impl FnOnce(&mut serde_json::Value)) -> Arc<Universe> {
    let mut document = serde_json::from_str(Universe::default_universe().document()).expect("JSON");
    change(&mut document);
    Universe::from_json(&document.to_string()).expect("a proper document")
}

#[test]
fn universes_that_differ_in_prose_or_storage_are_equal() {
    let ours = Universe::default_universe();
    let spelling = Universe::from_json(&format!("{} ", ours.document())).expect("a proper document");
    assert!(Arc::ptr_eq(&ours, &spelling));
    let prose = || {
        changed(|document| {
            document["elements"]["visit"]["doc"] = "What a telescope does.".into();
            document["elements"]["visit"]["metadata"][0]["doc"] = "A number.".into();
            document["packers"] = serde_json::json!({"visit_detector": {"fixed": ["instrument"]}});
        })
    };
    assert_eq!(prose(), ours);
    assert_eq!(prose().element("visit").map(|visit| visit.doc.as_str()), Ok("What a telescope does."));
    assert_eq!(ours.element("visit").map(|visit| visit.doc.as_str()), Ok(""));
    assert!(Arc::ptr_eq(&prose(), &prose()));
    let stored = changed(|document| {
        let elements = document["elements"].as_object_mut().expect("elements");
        for (name, element) in elements {
            element.as_object_mut().expect("an element").remove("is_cached");
            element.as_object_mut().expect("an element").remove("implied_union_target");
            let class =
                if name == "detector" { "x.CachingDimensionRecordStorage" } else { "x.TableDimensionRecordStorage" };
            element["storage"] = serde_json::json!({"cls": class});
        }
        document["elements"]["band"]["storage"]["view_of"] = "physical_filter".into();
    });
    assert_eq!(stored, ours);
    assert_eq!(stored, prose());
    assert_eq!(stored.element("physical_filter").map(|filter| filter.is_cached), Ok(false));
}

#[test]
fn universes_that_differ_in_what_they_mean_are_not_equal() {
    use serde_json::{Value as Json, json};
    type Change = fn(&mut Json);
    let changes: [Change; 16] = [
        |document| document["version"] = 7.into(),
        |document| document["namespace"] = "other".into(),
        |document| document["skypix"]["common"] = "htm8".into(),
        |document| document["skypix"]["htm"] = json!({"max_level": 20}),
        |document| document["elements"]["extra"] = json!({"keys": [{"name": "id", "type": "int"}]}),
        |document| document["elements"]["visit"]["metadata"] = json!([]),
        |document| document["elements"]["visit"]["metadata"][0]["type"] = "float".into(),
        |document| document["elements"]["visit"]["metadata"][0]["nullable"] = false.into(),
        |document| document["elements"]["visit"]["metadata"][0]["name"] = "other".into(),
        |document| document["elements"]["instrument"]["keys"][0]["length"] = 64.into(),
        |document| document["elements"]["visit"]["implies"] = json!(["physical_filter"]),
        |document| document["elements"]["detector"]["requires"] = json!([]),
        |document| document["elements"]["visit_definition"]["populated_by"] = Json::Null,
        |document| document["elements"]["visit_definition"]["always_join"] = false.into(),
        |document| document["elements"]["skymap"]["governor"] = false.into(),
        |document| document["topology"]["temporal"] = json!({}),
    ];
    let ours = Universe::default_universe();
    let universes: Vec<Arc<Universe>> = changes.into_iter().map(changed).collect();
    for (position, universe) in universes.iter().enumerate() {
        assert_ne!(*universe, ours, "change {position}");
        assert!(universes[..position].iter().all(|other| other != universe), "change {position}");
        assert_eq!(*universe, changed(changes[position]));
    }
}

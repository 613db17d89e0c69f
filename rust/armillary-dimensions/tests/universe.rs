//! The universe of the default document against the facts of the repository format.

use armillary_dimensions::{Universe, Value};

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

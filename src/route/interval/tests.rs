//! Tables of moments against intervals written as in the file, with days on which clocks change.

use proptest::prelude::*;

use super::*;

fn interval(yaml: &str) -> TimeInterval {
    let config = TimeIntervalConfig { name: "test".into(), time_intervals: serde_yaml::from_str(yaml).unwrap() };
    config.compile().unwrap_or_else(|problems| panic!("{yaml}: {problems:?}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const OFFICE: &str = "[{weekdays: ['monday:friday'], times: [{start_time: '09:00', end_time: '17:00'}]}]";
const BERLIN_NIGHT: &str = "[{times: [{start_time: '01:00', end_time: '02:30'}], location: Europe/Berlin}]";

#[test]
fn contains_follows_the_wall_clock() {
    #[rustfmt::skip]
    let table: &[(&str, &[&str], &[&str])] = &[
        ("[{}]", &["2026-01-01T00:00:00Z"], &[]),
        (OFFICE, &["2026-11-23T09:00:00Z", "2026-11-27T16:59:59.999Z"], &["2026-11-23T08:59:59Z", "2026-11-23T17:00:00Z", "2026-11-28T12:00:00Z", "2026-11-29T12:00:00Z"]),
        ("[{times: [{start_time: '00:00', end_time: '24:00'}]}]", &["2026-01-01T00:00:00Z", "2026-01-01T23:59:59Z"], &[]),
        ("[{times: [{start_time: 22:00, end_time: 24:00}, {start_time: 00:00, end_time: 06:00}]}]", &["2026-01-01T23:00:00Z", "2026-01-02T05:59:00Z"], &["2026-01-02T06:00:00Z", "2026-01-02T21:59:59Z"]),
        // 2026-11-24 is a Tuesday.
        ("[{weekdays: ['Sunday', 'TUESDAY:thursday']}]", &["2026-11-22T10:00:00Z", "2026-11-24T10:00:00Z", "2026-11-26T10:00:00Z"], &["2026-11-23T10:00:00Z", "2026-11-27T10:00:00Z"]),
        ("[{days_of_month: ['-1']}]", &["2026-02-28T10:00:00Z", "2028-02-29T10:00:00Z", "2026-04-30T10:00:00Z"], &["2028-02-28T10:00:00Z", "2026-05-30T10:00:00Z"]),
        ("[{days_of_month: [-7:-1]}]", &["2026-02-22T00:00:00Z", "2026-01-25T00:00:00Z"], &["2026-02-21T23:59:59Z", "2026-01-24T00:00:00Z"]),
        ("[{days_of_month: [1, 15, '20:-1']}]", &["2026-03-01T00:00:00Z", "2026-03-15T00:00:00Z", "2026-03-31T00:00:00Z", "2026-02-20T00:00:00Z"], &["2026-03-02T00:00:00Z", "2026-03-19T00:00:00Z"]),
        ("[{days_of_month: ['30:31'], months: [february]}]", &[], &["2026-02-28T13:00:00Z", "2026-02-27T13:00:00Z"]),
        ("[{days_of_month: ['25:31'], months: [february]}]", &["2026-02-28T13:00:00Z"], &["2026-02-24T13:00:00Z", "2026-03-31T13:00:00Z"]),
        ("[{days_of_month: ['-31:-28']}]", &["2026-02-01T00:00:00Z", "2026-03-04T00:00:00Z"], &["2026-02-02T00:00:00Z", "2026-03-05T00:00:00Z"]),
        ("[{months: [may:august, 12, '1:2']}]", &["2026-05-01T00:00:00Z", "2026-08-31T23:59:59Z", "2026-12-01T00:00:00Z", "2026-02-01T00:00:00Z"], &["2026-04-30T23:59:59Z", "2026-09-01T00:00:00Z", "2026-03-01T00:00:00Z"]),
        ("[{years: [2020, '2026:2027']}]", &["2020-06-01T00:00:00Z", "2027-12-31T23:59:59Z"], &["2021-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
        ("[{weekdays: ['monday:wednesday', saturday, sunday], times: [{start_time: '13:00', end_time: '15:00'}], days_of_month: ['1', '10', '20:-1'], years: ['2020:2023'], months: ['january:march']}]",
            &["2021-01-10T13:00:00Z", "2021-01-30T14:24:00Z"], &["2021-01-09T13:00:00Z", "2021-01-20T12:59:00Z", "2021-02-02T13:00:00Z"]),
        // Any rule of several.
        ("[{weekdays: [saturday]}, {times: [{start_time: '09:00', end_time: '10:00'}]}]", &["2026-11-28T20:00:00Z", "2026-11-24T09:30:00Z"], &["2026-11-24T10:00:00Z"]),
        // Zones: Shanghai is UTC+8 all year; Sydney is UTC+11 in January.
        ("[{times: [{start_time: '09:00', end_time: '18:00'}], location: Asia/Shanghai}]", &["2026-01-01T01:00:00Z", "2026-01-01T09:59:00Z"], &["2026-01-01T00:59:59Z", "2026-01-01T10:00:00Z"]),
        ("[{weekdays: [monday], location: Australia/Sydney}]", &["2024-01-07T13:00:00Z"], &["2024-01-07T12:59:59Z", "2024-01-08T13:00:00Z"]),
        ("[{days_of_month: [-1], location: America/New_York}]", &["2026-02-01T04:59:59Z"], &["2026-02-01T05:00:00Z", "2026-01-31T04:59:59Z"]),
        ("[{years: [2027], location: Asia/Kathmandu}]", &["2026-12-31T18:15:00Z"], &["2026-12-31T18:14:59Z"]),
        // Berlin, 29 March 2026: 02:00 becomes 03:00. The skipped half hour never comes.
        ("[{times: [{start_time: '02:15', end_time: '02:45'}], location: Europe/Berlin}]", &["2026-03-28T01:20:00Z"], &["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-03-29T01:20:00Z"]),
        // Berlin, 25 October 2026: 03:00 becomes 02:00. The half hour from 02:00 comes twice.
        (BERLIN_NIGHT, &["2026-10-24T23:00:00Z", "2026-10-25T00:29:59Z", "2026-10-25T01:00:00Z", "2026-10-25T01:29:59Z"], &["2026-10-25T00:30:00Z", "2026-10-25T00:59:59Z", "2026-10-25T01:30:00Z"]),
    ];
    for (yaml, inside, outside) in table {
        let interval = interval(yaml);
        for moment in *inside {
            assert!(interval.contains(at(moment)), "{yaml} should contain {moment}");
        }
        for moment in *outside {
            assert!(!interval.contains(at(moment)), "{yaml} should not contain {moment}");
        }
    }
}

#[test]
fn ends_where_it_stops_containing() {
    #[rustfmt::skip]
    let table: &[(&str, &str, Option<&str>)] = &[
        (OFFICE, "2026-11-23T10:30:30.5Z", Some("2026-11-23T17:00:00Z")),
        (OFFICE, "2026-11-22T10:00:00Z", Some("2026-11-22T10:00:00Z")),
        ("[{weekdays: [saturday, sunday]}]", "2026-11-21T10:00:00Z", Some("2026-11-23T00:00:00Z")),
        ("[{weekdays: [saturday]}, {weekdays: [sunday]}]", "2026-11-21T10:00:00Z", Some("2026-11-23T00:00:00Z")),
        ("[{weekdays: ['friday:saturday', sunday]}]", "2026-11-27T10:00:00Z", Some("2026-11-30T00:00:00Z")),
        ("[{times: [{start_time: '22:00', end_time: '24:00'}, {start_time: '00:00', end_time: '06:00'}]}]", "2026-11-23T23:00:00Z", Some("2026-11-24T06:00:00Z")),
        ("[{times: [{start_time: '09:00', end_time: '12:00'}, {start_time: '11:00', end_time: '13:00'}, {start_time: '13:00', end_time: '14:00'}]}]", "2026-11-23T09:00:00Z", Some("2026-11-23T14:00:00Z")),
        ("[{months: [december]}]", "2026-12-24T00:00:00Z", Some("2027-01-01T00:00:00Z")),
        ("[{years: ['2026:2027']}]", "2026-12-24T00:00:00Z", Some("2028-01-01T00:00:00Z")),
        ("[{years: ['2026:2028']}]", "2026-12-24T00:00:00Z", None),
        ("[{}]", "2026-12-24T00:00:00Z", None),
        ("[{location: Europe/Berlin}]", "2026-12-24T00:00:00Z", None),
        ("[{weekdays: ['sunday:saturday'], location: Asia/Shanghai}]", "2026-12-24T00:00:00Z", None),
        ("[{days_of_month: ['-3:-1'], location: Asia/Shanghai}]", "2026-02-26T00:00:00Z", Some("2026-02-28T16:00:00Z")),
        // The clock jumps over the end, or runs through it twice.
        ("[{times: [{start_time: '01:00', end_time: '02:30'}], location: Europe/Berlin}]", "2026-03-29T00:30:00Z", Some("2026-03-29T01:00:00Z")),
        (BERLIN_NIGHT, "2026-10-24T23:30:00Z", Some("2026-10-25T00:30:00Z")),
        (BERLIN_NIGHT, "2026-10-25T01:10:00Z", Some("2026-10-25T01:30:00Z")),
        ("[{times: [{start_time: '01:00', end_time: '03:00'}], location: Europe/Berlin}]", "2026-10-24T23:30:00Z", Some("2026-10-25T02:00:00Z")),
        // Midnight itself is skipped in Havana on 8 March 2026 (00:00 becomes 01:00).
        ("[{weekdays: [saturday], location: America/Havana}]", "2026-03-07T12:00:00Z", Some("2026-03-08T05:00:00Z")),
        // Two zones hand over to each other.
        ("[{times: [{start_time: '00:00', end_time: '12:00'}]}, {times: [{start_time: '20:00', end_time: '21:00'}], location: Asia/Shanghai}]", "2026-11-23T11:00:00Z", Some("2026-11-23T13:00:00Z")),
    ];
    for (yaml, from, end) in table {
        assert_eq!(interval(yaml).end_of(at(from)), end.map(at), "{yaml} from {from}");
    }
}

#[test]
fn starts_where_it_begins_to_contain() {
    #[rustfmt::skip]
    let table: &[(&str, &str, Option<&str>)] = &[
        (OFFICE, "2026-11-23T10:30:30.5Z", Some("2026-11-23T10:30:30.5Z")),
        (OFFICE, "2026-11-27T17:00:00Z", Some("2026-11-30T09:00:00Z")),
        (OFFICE, "2026-11-23T08:00:00Z", Some("2026-11-23T09:00:00Z")),
        ("[{weekdays: [saturday]}, {days_of_month: [1]}]", "2026-11-29T10:00:00Z", Some("2026-12-01T00:00:00Z")),
        ("[{days_of_month: [29], months: [february]}]", "2026-03-01T00:00:00Z", None),
        ("[{days_of_month: [29], months: [february]}]", "2027-03-01T00:00:00Z", Some("2028-02-29T00:00:00Z")),
        ("[{years: [2020]}]", "2026-11-23T10:00:00Z", None),
        ("[{times: [{start_time: '02:15', end_time: '02:45'}], location: Europe/Berlin}]", "2026-03-28T12:00:00Z", Some("2026-03-30T00:15:00Z")),
        ("[{times: [{start_time: '02:15', end_time: '04:00'}], location: Europe/Berlin}]", "2026-03-28T12:00:00Z", Some("2026-03-29T01:00:00Z")),
        (BERLIN_NIGHT, "2026-10-25T00:30:00Z", Some("2026-10-25T01:00:00Z")),
        ("[{times: [{start_time: '09:00', end_time: '10:00'}], location: Asia/Shanghai}]", "2026-11-23T10:00:00Z", Some("2026-11-24T01:00:00Z")),
    ];
    for (yaml, from, start) in table {
        assert_eq!(interval(yaml).next_start(at(from)), start.map(at), "{yaml} from {from}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    #[rustfmt::skip]
    let table: &[(&str, &str, &str)] = &[
        ("[{times: [{start_time: '22:00', end_time: '06:00'}]}]", "time_intervals[0].times[0].end_time", "write two ranges"),
        ("[{times: [{start_time: '09:00', end_time: '09:00'}]}]", "time_intervals[0].times[0].end_time", "must be later"),
        ("[{}, {times: [{start_time: '01:00', end_time: '02:00'}, {start_time: '9:00', end_time: '10:00'}]}]", "time_intervals[1].times[1].start_time", "`9:00` is not a time"),
        ("[{times: [{start_time: '09:00', end_time: '24:01'}]}]", "time_intervals[0].times[0].end_time", "no 24:01"),
        ("[{times: [{start_time: '09:60', end_time: '10:00'}]}]", "time_intervals[0].times[0].start_time", "no 09:60"),
        ("[{times: [{start_time: '09:00'}]}]", "time_intervals[0].times[0].end_time", "missing"),
        ("[{times: [{start_time: '0９:00', end_time: '10:00'}]}]", "time_intervals[0].times[0].start_time", "not a time"),
        ("[{times: []}]", "time_intervals[0].times", "empty list"),
        ("[{weekdays: []}]", "time_intervals[0].weekdays", "empty list"),
        ("[{weekdays: ['saturday:sunday']}]", "time_intervals[0].weekdays[0]", "write two ranges, `saturday` and `sunday`"),
        ("[{weekdays: ['saturday:monday']}]", "time_intervals[0].weekdays[0]", "because weeks start on Sunday; write two ranges, `saturday` and `sunday:monday`"),
        ("[{weekdays: [monday, mon]}]", "time_intervals[0].weekdays[1]", "`mon` is not a weekday"),
        ("[{weekdays: ['monday:tuesday:friday']}]", "time_intervals[0].weekdays[0]", "more than one colon"),
        ("[{weekdays: [1]}]", "time_intervals[0].weekdays[0]", "not a weekday"),
        ("[{days_of_month: [0]}]", "time_intervals[0].days_of_month[0]", "0 is not a day"),
        ("[{days_of_month: [32]}]", "time_intervals[0].days_of_month[0]", "32 is not a day"),
        ("[{days_of_month: ['-32:-1']}]", "time_intervals[0].days_of_month[0]", "-32 is not a day"),
        ("[{days_of_month: ['-3:5']}]", "time_intervals[0].days_of_month[0]", "must end there too"),
        ("[{days_of_month: ['10:5']}]", "time_intervals[0].days_of_month[0]", "comes before"),
        ("[{days_of_month: ['28:-1']}]", "time_intervals[0].days_of_month[0]", "comes before"),
        ("[{days_of_month: [first]}]", "time_intervals[0].days_of_month[0]", "not a day of the month"),
        ("[{months: [13]}]", "time_intervals[0].months[0]", "not a month"),
        ("[{months: ['december:january']}]", "time_intervals[0].months[0]", "runs backwards; write two ranges, `december` and `january`"),
        ("[{months: [martius]}]", "time_intervals[0].months[0]", "not a month"),
        ("[{years: ['2022:2020']}]", "time_intervals[0].years[0]", "runs backwards"),
        ("[{years: [99999]}]", "time_intervals[0].years[0]", "not a year"),
        ("[{location: Local}]", "time_intervals[0].location", "depends on the machine"),
        ("[{location: europe/berlin}]", "time_intervals[0].location", "case-sensitive: `europe/berlin` is `Europe/Berlin`"),
        ("[{location: Mars/Base}]", "time_intervals[0].location", "no time zone"),
        ("[{location: ' UTC'}]", "time_intervals[0].location", "no time zone"),
    ];
    for (yaml, path, text) in table {
        let config = TimeIntervalConfig { name: "test".into(), time_intervals: serde_yaml::from_str(yaml).unwrap() };
        let problems = config.compile().expect_err(yaml);
        assert_eq!(problems.len(), 1, "{yaml}: {problems:?}");
        assert_eq!(problems[0].path, *path, "{yaml}");
        assert!(problems[0].to_string().contains(text), "{yaml}: {}", problems[0]);
    }
    let empty = TimeIntervalConfig::default().compile().unwrap_err();
    assert_eq!(empty.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["name", "time_intervals"]);
    let several: TimeIntervalConfig =
        serde_yaml::from_str("{name: x, time_intervals: [{years: [a, b], weekdays: [c], times: [{start_time: d, end_time: e}]}]}").unwrap();
    assert_eq!(several.compile().unwrap_err().len(), 5);
}

#[test]
fn every_bundled_zone_name_is_taken_as_it_is_written() {
    for name in ["UTC", "", "Etc/UTC", "Asia/Shanghai", "Asia/Calcutta", "US/Pacific", "EST", "GMT", "America/Argentina/Buenos_Aires"] {
        let rule = TimeRuleConfig { location: Some(name.to_owned()), ..Default::default() };
        let config = TimeIntervalConfig { name: "x".into(), time_intervals: vec![rule] };
        assert!(config.compile().is_ok(), "{name}: {:?}", config.compile());
    }
}

#[test]
fn unknown_keys_are_refused() {
    let result: Result<TimeIntervalConfig, _> = serde_yaml::from_str("{name: x, time_intervals: [{weekday: [monday]}]}");
    assert!(result.unwrap_err().to_string().contains("weekday"));
}

fn any_rule() -> impl Strategy<Value = TimeRuleConfig> {
    let some = |list: &'static [&'static str]| {
        prop::option::weighted(0.4, prop::collection::vec(prop::sample::select(list).prop_map(|t| Scalar::Text(t.into())), 1..3))
    };
    let time = prop::sample::select(&[("00:00", "24:00"), ("00:00", "02:30"), ("01:30", "02:00"), ("22:00", "24:00"), ("02:15", "03:45")][..])
        .prop_map(|(start, end)| TimeRangeConfig { start_time: start.into(), end_time: end.into() });
    (
        prop::option::weighted(0.7, prop::collection::vec(time, 1..3)),
        some(&["sunday", "monday:friday", "saturday", "tuesday:wednesday"]),
        some(&["1:7", "-3:-1", "25:31", "24:27", "15"]),
        some(&["march:april", "10", "november"]),
        prop::option::of(
            prop::sample::select(&["Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Asia/Shanghai"][..]).prop_map(str::to_owned),
        ),
    )
        .prop_map(|(times, weekdays, days_of_month, months, location)| TimeRuleConfig {
            times,
            weekdays,
            days_of_month,
            months,
            years: None,
            location,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// The search for the next change agrees with looking at every quarter of an hour (every change in these zones falls on one).
    #[test]
    fn changes_are_where_stepping_finds_them(rules in prop::collection::vec(any_rule(), 1..3), day in 0i64..400) {
        let interval = TimeIntervalConfig { name: "x".into(), time_intervals: rules }.compile().unwrap();
        let start = at("2026-01-01T00:07:00Z") + SignedDuration::from_hours(24 * day);
        let steps = (0..8 * 96).map(|quarter: i64| at("2026-01-01T00:00:00Z") + SignedDuration::from_hours(24 * day) + SignedDuration::from_mins(15 * (quarter + 1)));
        let mut known = interval.contains(start);
        let (mut end, mut begin) = (interval.end_of(start), interval.next_start(start));
        for step in steps {
            let now = interval.contains(step);
            if now != known {
                prop_assert_eq!(if known { end } else { begin }, Some(step));
                (known, end, begin) = (now, interval.end_of(step), interval.next_start(step));
            }
        }
    }
}

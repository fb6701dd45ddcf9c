use super::*;
use crate::model::{PlatformIds, Verb};
use crate::store::CellState;

fn of(second: u64) -> MessageId {
    MessageId(Uuid::from_u128(u128::from(second * 1000 + 7) << 80 | 0x7abc_8def))
}

#[test]
fn a_code_leads_to_the_second_of_its_message_for_four_years() {
    let (key, now) = (Secret::new("key"), 1_795_413_785);
    for age in [0, 1, 3600, 86_400 * 365 * 4] {
        let message = of(now - age);
        let code = message_code(&key, message);
        assert!(code.len() == 14 && code.bytes().all(|b| b.is_ascii_alphanumeric()), "{code}");
        let found = messages_of_code(&code, UnixMs(now as i64 * 1000)).unwrap();
        assert!(found.contains(&message), "{age}: {found:?}");
        assert_eq!(is_new(&code, UnixMs(now as i64 * 1000)), age < 60, "{age}");
        assert!(!found.contains(&of(now - age - 1)) && !found.contains(&of(now - age + 1)));
    }
    // A clock that is ahead.
    assert!(messages_of_code(&message_code(&key, of(now + 3600)), UnixMs(now as i64 * 1000)).unwrap().contains(&of(now + 3600)));
}

#[test]
fn codes_of_act_links_are_replaced_or_masked_and_nothing_else_is() {
    let (key, message) = (Secret::new("key"), of(1_795_413_785));
    let (act, read) = (act_code(&key, message), message_code(&key, message));
    let text = format!("https://w.example.com/a/{act} ack.{act}.3 /a/{read} é");
    assert_eq!(read_only(&key, message, &text), format!("https://w.example.com/m/{read} ack.{read}.3 /a/{read} é"));
    let code = act_code(&Secret::new("key"), of(1_795_413_785));
    let text = format!("https://w.example.com/a/{code}, /a/{code}/x /a/b /a/ /m/{code} é");
    assert_eq!(masked(&text), format!("https://w.example.com/a/***, /a/***/x /a/b /a/ /m/{code} é"));
}

#[test]
fn a_link_of_ones_own_is_as_long_and_names_its_recipient_only() {
    let (key, message) = (Secret::new("key"), of(1_795_413_785));
    let cell = |to: &str| Cell {
        page: 0,
        recipient: Recipient::new(to),
        state: CellState::Open,
        tries: 0,
        unanswered: 0,
        due_at: UnixMs(0),
        ids: PlatformIds::default(),
        code: None,
    };
    let (cells, to) = ([cell("+2"), cell("+1"), cell("+2")], |to: &str| [Recipient::new(to)]);
    let shared = act_code(&key, message);
    let page = Page { fields: [("text".to_owned(), format!("ack: https://w/a/{shared} {shared}"))].into(), ..Page::default() };
    let own = |platform: &str, cells: &[Cell], to: &[Recipient]| own_links(&key, platform, (message, cells), &page, to);
    let code = |to: &str| {
        let to = Recipient::new(to);
        let text = own("twilio_sms", &cells, std::slice::from_ref(&to)).page(&page, &to).unwrap().fields["text"].clone();
        assert!(text.ends_with(&format!(" {shared}")), "what is no link stays: {text}");
        text[17..31].to_owned()
    };
    let (one, two) = (code("+1"), code("+2"));
    assert!(one != two && one != shared && two != shared, "{one} {two}");
    let mut places = [&one, &two].map(|code| place_of(&key, message, code));
    places.sort_unstable();
    assert_eq!(places, [Some(0), Some(1)]);
    assert!([&one, &two, &shared].iter().all(|code| code.len() == 14 && acts_on(&key, message, code)));
    let (other, later) = (Secret::new("other"), of(1_795_413_786));
    assert!(!acts_on(&other, message, &one) && !acts_on(&key, later, &one) && place_of(&key, message, &shared).is_none());
    let now = UnixMs(1_795_413_785_000);
    assert_eq!(messages_of_code(&one, now), messages_of_code(&shared, now), "it is found like the other one");
    assert_eq!(personal_code(&key, message, MAX_PERSONAL), None);
    let who = |platform: &str, cells: &[Cell], code: &str| reader(&key, platform, (message, cells), code);
    assert_eq!(who("twilio_sms", &cells, &one), Some(Recipient::new("+1")));
    assert_eq!(who("twilio_sms", &cells[..1], &shared), Some(Recipient::new("+2")));
    let (third, sms) = (personal_code(&key, message, 2).unwrap(), "twilio_sms");
    for (platform, cells, code) in [("slack", &cells[..], &one), (sms, &cells[..1], &one), (sms, &cells[..], &third)] {
        assert_eq!(who(platform, cells, code), None, "it was sent to nobody: {platform} {code}");
    }
    // Mails to several are written one by one: each has the page of its own.
    let both = [Recipient::new("+2"), Recipient::new("+1")];
    let mails = own("email", &cells, &both);
    let text = |to: &Recipient| mails.page(&page, to).unwrap().fields["text"].clone();
    assert_eq!([text(&both[0]), text(&both[1])], [&two, &one].map(|code| format!("ack: https://w/a/{code} {shared}")));
    // One page for a room, for the only recipient, and for somebody who is none.
    for (platform, cells, to) in
        [("slack", &cells[..], &both[..]), ("twilio_sms", &cells[..1], &both[..1]), ("twilio_sms", &cells[..], &to("+3")[..])]
    {
        let own = own(platform, cells, to);
        assert!(own.own.is_empty() && own.page(&page, &to[0]).is_none(), "{platform} {to:?}");
    }
    let bare = Page { fields: [("text".to_owned(), "no link".to_owned())].into(), ..Page::default() };
    assert!(own_links(&key, "email", (message, &cells), &bare, &both).own.is_empty());
}

#[test]
fn the_address_of_a_calendar_opens_that_one_only() {
    let (key, other) = (Secret::new("key"), Secret::new("other"));
    let own = calendar_key(&key, CalendarOf::Person, "ann", 1);
    assert!(own.len() == 24 && is_calendar_key(&key, (CalendarOf::Person, "ann", 1), &own), "{own}");
    let none = Secret::new("");
    let of_none = calendar_key(&none, CalendarOf::Person, "ann", 1);
    for (key, of, name, given) in [
        (&key, CalendarOf::Rota, "ann", own.as_str()),
        (&key, CalendarOf::Person, "bob", own.as_str()),
        (&other, CalendarOf::Person, "ann", own.as_str()),
        (&key, CalendarOf::Person, "ann", ""),
        (&key, CalendarOf::Person, "ann", &own[..23]),
        (&none, CalendarOf::Person, "ann", of_none.as_str()),
    ] {
        assert!(!is_calendar_key(key, (of, name, 1), given), "{of:?} {name} {given}");
    }
    let again = calendar_key(&key, CalendarOf::Person, "ann", 2);
    assert!(!is_calendar_key(&key, (CalendarOf::Person, "ann", 2), &own), "another number ends the address before");
    assert!(is_calendar_key(&key, (CalendarOf::Person, "ann", 2), &again) && !is_calendar_key(&key, (CalendarOf::Person, "ann", 12), &again));
}

#[test]
fn codes_differ_by_message_and_key_and_what_is_none_leads_nowhere() {
    let (key, other) = (Secret::new("key"), Secret::new("other"));
    let (one, two) = (of(1_795_413_785), MessageId(Uuid::from_u128(of(1_795_413_785).0.as_u128() + 1)));
    assert_ne!(message_code(&key, one), message_code(&key, two), "of the same second");
    assert_ne!(message_code(&key, one), message_code(&other, one));
    let now = UnixMs(1_795_413_785_000);
    for none in ["", "0", "zzzzzzzzzzzzzz", "00000000000-00", "0000000000000é", "0123456789abcde", "0197a220b7-5cdd"] {
        assert_eq!(messages_of_code(none, now), None, "{none}");
    }
}

#[test]
fn a_button_proves_its_incident_to_the_installation_that_made_it() {
    let (key, other, none) = (Secret::new("key"), Secret::new("other"), Secret::new(""));
    let code = act_code(&key, of(1_795_413_785));
    let value = |code: &str, incident: i64, mac: &str| ButtonValue {
        verb: Verb::Ack,
        code: code.to_owned(),
        version: 1,
        minutes: 0,
        incident,
        mac: mac.to_owned(),
    };
    let mac = button_mac(&key, &code, IncidentId(7));
    assert!(mac.len() == ButtonValue::MAC && mac.bytes().all(|b| b.is_ascii_alphanumeric()), "{mac}");
    let own = value(&code, 7, &mac);
    assert!(proves_incident(&key, &own));
    assert_eq!(ButtonValue::decode(&own.encode()), Some(own.clone()));
    let later = act_code(&key, of(1_795_413_786));
    for (key, value) in [
        (&other, own.clone()),
        (&key, value(&code, 8, &mac)),
        (&key, value(&later, 7, &mac)),
        (&key, value(&code, 7, "")),
        (&key, value(&code, 7, &mac[..7])),
        (&key, value(&code, 0, &button_mac(&key, &code, IncidentId(0)))),
        (&none, value(&code, 7, &button_mac(&none, &code, IncidentId(7)))),
    ] {
        assert!(!proves_incident(key, &value), "{value:?}");
    }
}

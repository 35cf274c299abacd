use super::*;

const AT: u64 = 1_795_708_800_000;

fn notice(kind: NoticeKind) -> Notice {
    Notice {
        kind,
        incident: "00ff".into(),
        rule: Some(Rule::BackupFailing),
        subject: "de000000-0000-4000-8000-000000000001".into(),
        detail: Some("<!channel> & \"more\"\u{7}".into()),
        opened_at: AT,
        closed_at: (kind == NoticeKind::Recovered).then_some(AT + 61_000),
        count: 2,
    }
}

fn body(kind: SinkKind, notice: &Notice) -> String {
    let access = SinkAccess {
        kind,
        url: "https://alerts.example.org/".into(),
        secret: Some("hidden".into()),
        chat: Some("-100".into()),
    };
    let message = message(&access, notice, Audience::Admins, AT + 120_000).unwrap();
    assert_eq!(message.bearer.is_some(), kind == SinkKind::Alertmanager);
    assert!(!message.body.contains("hidden"));
    message.body
}

#[test]
fn each_kind_of_sink_is_told_in_its_own_form() {
    let opened = notice(NoticeKind::Opened);
    for (kind, expected) in [
        (
            SinkKind::Webhook,
            r#"{"type":"incident.opened","timestamp":"2026-11-26T16:02:00Z","data":{"incident":"00ff","rule":"backup-failing","severity":"critical","subject":"de000000-0000-4000-8000-000000000001","title":"A bot's snapshots fail","detail":"<!channel> & \"more\"\u0007","opened_at":"2026-11-26T16:00:00Z","closed_at":null,"count":2,"runbook":"docs/operations.md#backup-failing"}}"#,
        ),
        (
            SinkKind::Slack,
            r#"{"text":"[critical] A bot's snapshots fail (de000000-0000-4000-8000-000000000001)\nsince 2026-11-26T16:00:00Z\n&lt;!channel&gt; &amp; \"more\"\nwhat to do: docs/operations.md#backup-failing\nincident 00ff"}"#,
        ),
        (
            SinkKind::Discord,
            r#"{"content":"[critical] A bot's snapshots fail (de000000-0000-4000-8000-000000000001)\nsince 2026-11-26T16:00:00Z\n<!channel> & \"more\"\nwhat to do: docs/operations.md#backup-failing\nincident 00ff","allowed_mentions":{"parse":[]}}"#,
        ),
        (
            SinkKind::Telegram,
            r#"{"chat_id":"-100","text":"[critical] A bot's snapshots fail (de000000-0000-4000-8000-000000000001)\nsince 2026-11-26T16:00:00Z\n<!channel> & \"more\"\nwhat to do: docs/operations.md#backup-failing\nincident 00ff","link_preview_options":{"is_disabled":true}}"#,
        ),
        (
            SinkKind::Alertmanager,
            r#"[{"labels":{"alertname":"backup-failing","severity":"critical","subject":"de000000-0000-4000-8000-000000000001","incident":"00ff","platform":"moltworker"},"annotations":{"summary":"A bot's snapshots fail","description":"<!channel> & \"more\"\u0007","runbook":"docs/operations.md#backup-failing"},"startsAt":"2026-11-26T16:00:00Z","endsAt":"2026-11-26T16:22:00Z"}]"#,
        ),
    ] {
        assert_eq!(body(kind, &opened), expected, "{kind:?}");
    }
}

#[test]
fn a_recovery_says_from_when_to_when_and_ends_the_alert() {
    let over = notice(NoticeKind::Recovered);
    let slack = body(SinkKind::Slack, &over);
    assert!(
        slack.starts_with(r#"{"text":"[recovered] A bot's snapshots fail"#),
        "{slack}"
    );
    assert!(
        slack.contains(r"\nfrom 2026-11-26T16:00:00Z to 2026-11-26T16:01:01Z\n"),
        "{slack}"
    );
    assert!(body(SinkKind::Alertmanager, &over).ends_with(r#""endsAt":"2026-11-26T16:01:01Z"}]"#));
    assert!(body(SinkKind::Webhook, &over).contains(r#""type":"incident.recovered""#));
    assert!(body(SinkKind::Discord, &notice(NoticeKind::Escalated)).contains("[still open] "));
}

#[test]
fn alertmanager_is_told_again_before_it_takes_an_alert_as_over() {
    let resent: Vec<u64> = (0..60)
        .filter(|minute| is_resent_in(minute * MINUTE_MS))
        .collect();
    assert_eq!(resent.windows(2).map(|two| two[1] - two[0]).max(), Some(5));
    assert_eq!(FIRING_MS, 20 * MINUTE_MS);
    let access = SinkAccess {
        kind: SinkKind::Alertmanager,
        url: "https://am.example.org/api/v2/alerts".into(),
        secret: Some("hidden".into()),
        chat: None,
    };
    let many = vec![notice(NoticeKind::Opened); MAX_RESENT + 1];
    let messages = super::resent(&access, &many, AT).unwrap();
    let alerts: Vec<usize> = messages
        .iter()
        .map(|one| one.body.matches("startsAt").count())
        .collect();
    assert_eq!(alerts, [MAX_RESENT, 1]);
    assert!(
        messages
            .iter()
            .all(|one| one.bearer.as_deref() == Some("hidden") && one.body.len() < 500_000)
    );
}

#[test]
fn an_owner_is_told_in_words_for_them_and_without_what_admins_do() {
    let said = text(&notice(NoticeKind::Opened), Audience::Owner);
    assert!(
        said.starts_with("[critical] What your bot changes cannot be saved at the moment."),
        "{said}"
    );
    assert!(!said.contains("docs/") && !said.contains("what to do"), "{said}");
    let notice = notice(NoticeKind::Recovered);
    let said = serde_json::to_string(&webhook(&notice, Audience::Owner, AT)).unwrap();
    assert!(
        said.contains(r#""runbook":null"#) && said.contains(r#""title":"What your bot"#),
        "{said}"
    );
}

#[test]
fn a_text_fits_every_sink_whatever_the_detail_is() {
    let mut long = notice(NoticeKind::Opened);
    long.detail = Some("é".repeat(10 * MAX_TEXT));
    assert_eq!(text(&long, Audience::Admins).chars().count(), MAX_TEXT);
    let test = Notice::test("00aa".into(), "ops", AT);
    let told = text(&test, Audience::Admins);
    assert!(
        told.starts_with("[test] This is a test: nothing is wrong (ops)\n"),
        "{told}"
    );
}

#[test]
fn moments_are_written_as_rfc_3339_has_them() {
    for (ms, expected) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399_999, "2000-02-28T23:59:59Z"),
        (951_782_400_000, "2000-02-29T00:00:00Z"),
        (951_868_800_000, "2000-03-01T00:00:00Z"),
        (AT, "2026-11-26T16:00:00Z"),
        (4_107_542_399_000, "2100-02-28T23:59:59Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(timestamp(ms), expected);
    }
}

//! Replies of servers and providers, and what each means.

use super::*;
use Stage::{Auth, Banner, Content, Data, Ehlo, End, Mail, Rcpt, StartTls};

/// Short names for the table: a limit, this recipient for now, this recipient for good.
#[derive(Debug, PartialEq)]
enum Is {
    Limit,
    Later,
    RecipientLater,
    Recipient,
    Mail,
    Channel,
}

fn is(stage: Stage, code: u16, text: &str) -> Is {
    let verdict = verdict(stage, code, text);
    assert!(code < 400 || !verdict.hint.is_empty(), "{stage:?} {code} {text}");
    match (verdict.kind, verdict.recipient) {
        (RateLimited { .. }, false) => Is::Limit,
        (Transient, false) => Is::Later,
        (Transient, true) => Is::RecipientLater,
        (Rejected, true) => Is::Recipient,
        (Rejected, false) => Is::Mail,
        (Misconfigured, false) => Is::Channel,
        other => panic!("{stage:?} {code} {text}: {other:?}"),
    }
}

#[test]
fn replies_by_stage() {
    for (stage, code, text, meaning) in [
        (Banner, 421, "busy", Is::Later),
        (Banner, 554, "no service for you", Is::Channel),
        (Ehlo, 421, "4.7.0 later", Is::Later),
        (Ehlo, 501, "bad name", Is::Channel),
        (StartTls, 454, "4.7.0 TLS not available", Is::Later),
        (StartTls, 502, "", Is::Channel),
        (Auth, 454, "4.7.0 Temporary authentication failure", Is::Later),
        (Auth, 432, "", Is::Later),
        (Auth, 534, "5.7.9", Is::Channel),
        (Auth, 535, "5.7.8 bad credentials", Is::Channel),
        (Auth, 538, "", Is::Channel),
        (Auth, 504, "", Is::Channel),
        (Mail, 421, "", Is::Later),
        (Mail, 451, "4.3.0", Is::Later),
        (Mail, 452, "4.3.1", Is::Later),
        (Mail, 530, "5.7.0 Must issue a STARTTLS command first", Is::Channel),
        (Mail, 501, "mail from address must be same as authorization user", Is::Channel),
        (Mail, 550, "5.7.60 not allowed to send as this sender", Is::Channel),
        (Mail, 553, "Mail from must equal authorized user", Is::Channel),
        (Mail, 554, "5.7.1 client host rejected", Is::Channel),
        (Mail, 552, "5.3.4 too big", Is::Mail),
        (Mail, 554, "5.6.0 no", Is::Mail),
        (Mail, 503, "5.5.1 Error: nested MAIL command", Is::Later),
        (Mail, 503, "Error: need EHLO and AUTH first !", Is::Channel),
        (Rcpt, 450, "4.2.1 greylisted", Is::RecipientLater),
        (Rcpt, 550, "5.1.1 no such user", Is::Recipient),
        (Rcpt, 551, "", Is::Recipient),
        (Rcpt, 553, "5.1.3", Is::Recipient),
        (Rcpt, 550, "5.7.1 relaying denied", Is::Recipient),
        (Rcpt, 552, "5.2.2 mailbox full", Is::Recipient),
        (Rcpt, 552, "", Is::Recipient),
        (Rcpt, 530, "5.7.0 authentication required", Is::Channel),
        (Data, 354, "", Is::Later),
        (Data, 451, "", Is::Later),
        (Data, 554, "no valid recipients", Is::Mail),
        (Content, 552, "5.3.4 message size exceeds fixed limit", Is::Mail),
        (End, 421, "", Is::Later),
        (End, 451, "4.3.0", Is::Later),
        (End, 447, "", Is::Later),
        (End, 552, "5.3.4", Is::Mail),
        (End, 552, "5.2.2", Is::Recipient),
        (End, 554, "5.7.1 spam", Is::Mail),
        (End, 550, "5.7.1 DMARC", Is::Recipient),
        (End, 550, "5.1.1 gone", Is::Recipient),
    ] {
        assert_eq!(is(stage, code, text), meaning, "{stage:?} {code} {text}");
    }
}

#[test]
fn limits_are_limits_whatever_their_code() {
    for (stage, code, text) in [
        // QQ and Tencent Exmail.
        (Mail, 550, "Sender frequency limited. http://service.exmail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000723"),
        (Banner, 550, "Ip frequency limited"),
        (Mail, 550, "Domain frequency limited [MN-xyz]"),
        (Banner, 550, "Connection frequency limited"),
        (Rcpt, 451, "Connection frequency limited, 请 3 分钟后重试"),
        (End, 550, "发送频率超限"),
        (End, 550, "您发信过于频繁"),
        (Mail, 550, "发送过快，请稍后再试"),
        (Mail, 550, "您的账号因发送过多已被限制"),
        // Sina, Zoho.
        (Mail, 552, "Quota exceeded or service disabled."),
        (Mail, 550, "5.4.6 Maximum hourly messages reached"),
        // NetEase.
        (Banner, 421, "HL:ICC 163 mx20"),
        (Banner, 421, "HL:IFC"),
        (Mail, 451, "MI:SFQ 163 smtp7"),
        (Mail, 450, "MI:DMC"),
        (Rcpt, 451, "RP:QRC"),
        (Rcpt, 550, "RP:TRC 126"),
        (Mail, 554, "MI:STC 163"),
        (Auth, 451, "Requested mail action not taken: too much fail authentication"),
        (Banner, 554, "IP is rejected, smtp auth error limit exceed"),
        (Rcpt, 550, "Requested mail action not taken: too much recipient"),
        // Aliyun mail and DirectMail.
        (
            Rcpt,
            554,
            "Reject by behaviour spam at Rcpt State(Connection IP address:x.x.x.x)ANTISPAM_BAT[01201311R1568S]: too frequently sendingCONTINUE",
        ),
        (Mail, 454, "Transient reject by behaviour spamANTISPAM_BAT[1]: too frequently sending"),
        (End, 552, "Daily sending quota exceeded"),
        (End, 552, "Monthly sending quota exceeded"),
        (End, 552, "Not enough sending quota"),
        // Google.
        (Mail, 550, "5.4.5 Daily user sending limit exceeded. For more information"),
        (End, 550, "5.4.5 Daily SMTP relay sending limit exceeded for user."),
        (End, 550, "5.4.5 https://support.google.com/mail/answer/22839"),
        (Mail, 450, "4.2.1 Peak SMTP relay limit exceeded for customer. This is a temporary error."),
        (End, 550, "5.7.1 Email quota exceeded. For more information, go to About sending limits"),
        (End, 421, "4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP"),
        (End, 550, "5.7.28 Our system has detected an unusual rate"),
        (Auth, 454, "4.7.0 Too many login attempts, please try again later."),
        // Microsoft.
        (End, 550, "5.1.90 Your message can't be sent because you've reached your daily limit for message recipients"),
        (End, 554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message"),
        (End, 554, "5.2.2 Submission quota exceeded: the sender has exceeded the recipient rate limit or the message rate limit"),
        (Rcpt, 550, "Mailbox has exceeded the limit of 500 messages per day"),
        (Ehlo, 432, "4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending"),
        (End, 432, "4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"),
        (Mail, 421, "4.4.2 Message submission rate for this client has exceeded the configured limit"),
        (End, 550, "5.7.233 Your message can't be sent because your tenant exceeded its daily limit for sending email to external recipients"),
        (Rcpt, 451, "4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation."),
        (Banner, 451, "4.7.500 Access denied, please try again later"),
        (Mail, 421, "RP-001 The mail server IP connecting to Outlook.com server has exceeded the rate limit allowed."),
        (Rcpt, 550, "5.7.508 Access denied, [2001:db8::7] has exceeded permitted limits within /64 range"),
        (End, 550, "5.7.700 Access denied, tenant has exceeded threshold. For more information please go to"),
        (Rcpt, 550, "5.7.705 Service unavailable. Access denied, tenant has exceeded threshold"),
        // Amazon SES, SendGrid, Yahoo, Zoho.
        (End, 454, "Throttling failure: Maximum sending rate exceeded."),
        (End, 454, "Throttling failure: Daily message quota exceeded."),
        (Auth, 451, "Authentication failed: Maximum credits exceeded"),
        (Mail, 421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints"),
        (Mail, 550, "5.4.6 Unusual sending activity detected. Please try after sometime"),
        // Aliyun mail.
        (Rcpt, 504, "the number of RCPT attempts is achieved the maximum threshold"),
        (Rcpt, 505, "the total of RCPTs is achieved the maximum threshold"),
        // Postfix, policyd, Exim with cPanel.
        (Rcpt, 450, "4.7.1 Error: too much mail from 192.0.2.1"),
        (Banner, 421, "4.7.0 mx Error: too many connections from 192.0.2.1"),
        (Rcpt, 452, "4.5.3 too many recipients"),
        (Rcpt, 554, "5.7.1 Policy rejection; Message count quota exceeded"),
        (Rcpt, 550, "Domain example.com has exceeded the max emails per hour (500/500 (100%)) allowed. Message discarded."),
        (Banner, 421, "Too many concurrent SMTP connections; please try again later."),
        (Mail, 550, "Too many requests for one hour. Try again later."),
    ] {
        assert_eq!(is(stage, code, text), Is::Limit, "{stage:?} {code} {text}");
    }
}

#[test]
fn a_mailbox_is_told_from_a_limit() {
    for (stage, code, text, meaning) in [
        (Rcpt, 550, "Mailbox not found. http://service.exmail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000728", Is::Recipient),
        (End, 550, "Mailbox not found", Is::Recipient),
        (Rcpt, 550, "Mailbox unavailable or access denied", Is::RecipientLater),
        (Rcpt, 550, "Mail is rejected by recipients", Is::Recipient),
        (Rcpt, 550, "User not found: nobody@163.com", Is::Recipient),
        (Rcpt, 550, "User suspended", Is::Recipient),
        (Rcpt, 559, "Invalid rcptto [@sm060103]", Is::Recipient),
        (End, 550, "用户不存在", Is::Recipient),
        (Rcpt, 550, "收件人邮箱容量已满", Is::Recipient),
        (Rcpt, 450, "4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages", Is::RecipientLater),
        (Rcpt, 550, "5.2.1 The user you are trying to contact is receiving mail too quickly.", Is::RecipientLater),
        (Rcpt, 550, "5.2.1 The email account that you tried to reach is disabled.", Is::Recipient),
        (Rcpt, 552, "5.2.2 The email account that you tried to reach is over quota.", Is::Recipient),
        (Rcpt, 552, "5.2.2 Email quota exceeded", Is::Recipient),
        (Rcpt, 550, "5.2.1 <x@example.org>: account is disabled", Is::Recipient),
        (Rcpt, 550, "5.1.1 User account suspended", Is::Recipient),
        (Rcpt, 554, "5.7.1 <x@example.org>: 账号被锁定", Is::Recipient),
        (Rcpt, 550, "5.2.1 This account is disabled, returned to sender", Is::Recipient),
        (Rcpt, 452, "4.2.2 The email account that you tried to reach is over quota.", Is::Later),
        (Rcpt, 450, "4.2.1 The recipient has exceeded message rate limit. Try again later", Is::RecipientLater),
        (End, 550, "5.2.122 The recipient has exceeded their limit for the number of messages they can receive per hour", Is::RecipientLater),
        (End, 554, "5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded", Is::Recipient),
        (Rcpt, 550, "5.4.1 Recipient address rejected: Access denied", Is::Recipient),
        (Rcpt, 556, "5.1.10 null MX", Is::Recipient),
        // Whom one recipient keeps out may write to the others.
        (Rcpt, 550, "You are not allowed to send emails to the account", Is::Recipient),
        (End, 550, "5.7.1 You are not allowed to send to this group", Is::Recipient),
        (End, 550, "5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; Sender not authenticated for group", Is::Recipient),
        (Rcpt, 550, "5.7.1 RESOLVER.RST.AuthRequired; authentication required", Is::Recipient),
        (
            End,
            550,
            "5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed because the sender was \
             not authenticated when sending to this group",
            Is::Recipient,
        ),
        (End, 550, "5.7.134 RESOLVER.RST.SenderNotAuthenticatedForMailbox; authentication required", Is::Recipient),
        (End, 550, "The recipient may contain a non-existent account, please check the recipient address.", Is::Recipient),
        // The limit of one mailbox.
        (Rcpt, 552, "Mailbox is full / Blocks limit exceeded / Inode limit exceeded", Is::Recipient),
        (End, 552, "5.2.2 Mailbox size limit exceeded", Is::Recipient),
        (Rcpt, 550, "5.2.2 The recipient's mailbox has exceeded its quota", Is::Recipient),
        (Rcpt, 552, "User has exceeded its disk quota", Is::Recipient),
        (End, 552, "收件人邮箱容量超过限额", Is::Recipient),
        (Rcpt, 452, "4.2.2 Mailbox has exceeded the limit", Is::Later),
        (Rcpt, 552, "5.2.2 The user exceeded the maximum; quota limit reached", Is::Recipient),
        (Rcpt, 452, "4.2.2 Blocks limit exceeded", Is::Later),
        (Rcpt, 542, "This account isn't allowed to receive email", Is::Recipient),
        (Rcpt, 550, "5.1.1 User account has been disabled", Is::Recipient),
        (Rcpt, 550, "5.7.1 The sender is blacklisted by the recipient", Is::Recipient),
        (Rcpt, 550, "5.7.1 Sender is on the recipient's block list", Is::Recipient),
        (End, 550, "5.7.1 The recipient has blocked you: in a blacklist", Is::Recipient),
        // Yahoo's, after the mail.
        (
            End,
            554,
            "delivery error: dd Sorry your message to x@yahoo.com cannot be delivered. This account has been disabled or discontinued [#102].",
            Is::Recipient,
        ),
        (End, 550, "5.2.1 The recipient's account is suspended", Is::Recipient),
        (Rcpt, 450, "4.7.1 <w@example.com>: Sender address rejected: Domain not found", Is::Later),
        (Rcpt, 450, "4.1.1 <x@example.org>: Recipient address rejected: unverified address", Is::Later),
    ] {
        assert_eq!(is(stage, code, text), meaning, "{stage:?} {code} {text}");
    }
}

#[test]
fn names_of_mailboxes_and_companies_are_no_words_of_the_server() {
    for (stage, code, text) in [
        (Rcpt, 550, "5.1.1 <temporary-staff@example.com>: user unknown"),
        (Rcpt, 550, "5.1.1 <ratelimit@example.com>: Recipient address rejected: User unknown"),
        (Rcpt, 550, "5.1.1 User unknown. Acme Corporate Limited, ops@throttling.example.com"),
        (End, 550, "收件人 dmarc@example.com不存在"),
    ] {
        assert_eq!(is(stage, code, text), Is::Recipient, "{stage:?} {code} {text}");
        assert_eq!(verdict(stage, code, text), UNKNOWN, "{stage:?} {code} {text}");
    }
    assert_eq!(is(End, 554, "5.7.1 Contact postmaster@spamhaus.example.com"), Is::Mail);
}

#[test]
fn who_asks_to_come_back_is_visited_again() {
    for (stage, code, text) in [
        (Rcpt, 550, "5.7.1 Greylisted, please try again in 5 minutes"),
        (Rcpt, 554, "Recipient address rejected: Greylisting in action, please come back later"),
        (End, 554, "temporarily rejected"),
        (Rcpt, 550, "System is busy"),
        (Mail, 550, "系统繁忙，请稍后"),
        (End, 451, "DT:SPM ,please try again"),
        (Ehlo, 554, "try again later"),
    ] {
        assert!(matches!(is(stage, code, text), Is::Later | Is::RecipientLater), "{stage:?} {code} {text}");
    }
}

#[test]
fn what_concerns_the_channel_holds_it_at_any_stage() {
    for (stage, code, text) in [
        (End, 550, "5.7.60 SMTP; Client does not have permissions to send as this sender"),
        (End, 554, "5.2.252 SendAsDenied; w@example.com not allowed to send as x@example.com"),
        (Mail, 530, "5.7.57 Client not authenticated to send mail."),
        (Auth, 535, "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."),
        (Mail, 550, "5.7.30 Basic authentication is not supported for Client Submission."),
        (End, 550, "5.1.8 Access denied, bad outbound sender"),
        (Rcpt, 550, "5.7.708 Service unavailable. Access denied, traffic not accepted from this IP."),
        (Rcpt, 554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"),
        (Mail, 436, "\"MAIL FROM\" doesn't conform with authentication [@sm060104] (Auth Account:a@example.com|Mail Account:b@example.com)"),
        (Mail, 551, "Main account unavailable"),
        (Mail, 550, "5.2.1 account is disabled"),
        (End, 554, "Message rejected: Sending suspended for this account. For more information, please check the inbox"),
        (End, 554, "Message rejected: Sending paused for this account."),
        // Of the sender's account, where the refusal waits for the recipient.
        (Rcpt, 554, "5.7.1 <ops@corp.cn>: SASL login name rejected: account suspended"),
        (Rcpt, 550, "5.7.1 Sending suspended for this account"),
        (Rcpt, 550, "5.7.1 <ops@corp.cn>: Sender account is disabled"),
        (Rcpt, 550, "5.7.1 Your account is disabled, outgoing mail is refused"),
        (Rcpt, 554, "Access denied: User `arn:aws:iam::123456789012:user/smtp' is not authorized to perform `ses:SendRawEmail' on resource"),
        (Rcpt, 554, "5.7.1 发件人账号被锁定"),
        (End, 554, "Access denied: User `arn:aws:iam::123456789012:user/smtp' is not authorized to perform `ses:SendRawEmail' on resource"),
        (End, 554, "Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: w@example.com"),
        (Auth, 535, "Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy."),
        (Banner, 554, "HL:IPB 163 mx"),
        (Banner, 550, "Connection denied"),
        (Mail, 550, "5.7.23 SPF validation failed"),
        (Mail, 550, "w@example.com: user unknown"),
        (End, 554, "DT:SUM envelope sender and header mismatch"),
        // The name of this host, which Postfix and cPanel refuse only where a recipient is named.
        (Rcpt, 504, "5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"),
        (Rcpt, 550, "5.7.1 <db-1>: Helo command rejected: Host not found"),
        (Rcpt, 550, "Access denied - Invalid HELO name (See RFC2821 4.1.1.1)"),
        (Rcpt, 550, "5.7.506 Access Denied, Bad HELO"),
        // Aliyun's mailboxes.
        (Mail, 440, "mail from account doesn't conform with authentication (Auth Account:a@example.com|Mail Account:b@example.com)"),
        // Zoho, Yandex.
        (Rcpt, 553, "Relaying disallowed as w@example.com"),
        (Rcpt, 553, "5.7.1 Sender rejected: not owned by auth user"),
        // Google's relay, and Google's servers to a host that is none.
        (
            Rcpt,
            550,
            "5.7.1 Invalid credentials for relay [192.0.2.1]. The IP address you've registered in your Workspace SMTP Relay service doesn't match",
        ),
        (End, 550, "5.7.0 Mail relay denied [192.0.2.1]. Invalid credentials for relay for one of the domains in: example.com"),
        (
            End,
            550,
            "5.7.1 [192.0.2.1] The IP you're using to send mail is not authorized to send email directly to our servers. Please use the SMTP relay",
        ),
        (Rcpt, 550, "JunkMail rejected - host [192.0.2.1]:45010 is in an RBL, see http://www.example.com/removal"),
        (Rcpt, 554, "5.7.1 Service unavailable; 192.0.2.1 is blacklisted"),
        (Rcpt, 550, "csi.mimecast.org Poor Reputation Sender"),
        (End, 554, "5.7.1 Your account has been suspended"),
        (Rcpt, 550, "5.7.1 Your account has been blocked for spam"),
    ] {
        assert_eq!(is(stage, code, text), Is::Channel, "{stage:?} {code} {text}");
    }
}

#[test]
fn one_mail_is_not_the_channel() {
    for (stage, code, text) in [
        (End, 550, "Mail content denied. http://service.exmail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000726"),
        (End, 550, "Error: content rejected. http://mail.qq.com/zh_CN/help/content/rejectedmail.html"),
        (End, 554, "DT:SPM 163 smtp1"),
        (End, 554, "Reject by content spam"),
        (End, 552, "Requested mail action aborted: exceed mailsize limit"),
        (End, 557, "The length of DATA content is achieved the maximum threshold"),
        (Mail, 552, "5.2.3 Message size exceeds fixed maximum message size"),
        (Mail, 550, "Maximum email size exceeded"),
        (End, 554, "5.7.1 spam score exceeded threshold"),
    ] {
        assert_eq!(is(stage, code, text), Is::Mail, "{stage:?} {code} {text}");
    }
}

#[test]
fn delays_are_sane() {
    let minutes = |n: u64| Some(Duration::from_secs(60 * n));
    for (text, after) in [
        ("Sender frequency limited", None),
        ("rate limited, try again in 5 minutes", minutes(5)),
        ("too many connections, retry after 0 seconds", Some(Duration::from_secs(1))),
        ("too many connections, wait 86400 seconds", minutes(60)),
        ("rate limit: 30 messages per minute", None),
        ("频率超限，请 3 分钟后重试", minutes(3)),
        ("5.4.5 over the limit", minutes(15)),
        ("Daily sending quota exceeded", minutes(15)),
        ("exceeded the max emails per hour", minutes(5)),
    ] {
        assert_eq!(verdict(Stage::Mail, 550, text).kind, RateLimited { retry_after: after }, "{text}");
    }
}

#[test]
fn what_providers_say_of_a_mail_or_an_address_holds_nothing_else_up() {
    for (stage, code, text, meaning) in [
        (End, 554, "5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes", Is::Mail),
        (Rcpt, 550, "5.7.0 Blocked - see https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.1", Is::Channel),
        (Banner, 554, "Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1", Is::Channel),
        (Rcpt, 452, "4.2.2 The recipient's inbox is out of storage space. Please direct the recipient to", Is::Later),
        (Rcpt, 552, "5.2.2 The recipient's inbox is out of storage space and inactive.", Is::Recipient),
        (Rcpt, 550, "5.2.1 The email account that you tried to reach is disabled.", Is::Recipient),
        (End, 554, "Message rejected: Email address is not verified. The following identities failed the check", Is::Channel),
        (Mail, 432, "4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", Is::Limit),
    ] {
        assert_eq!(is(stage, code, text), meaning, "{stage:?} {code} {text}");
    }
}

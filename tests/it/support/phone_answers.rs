//! The published refusals of the SMS and voice vendors, in the languages they answer in, and what each must be told as. From their lists of errors:
//! <https://www.twilio.com/docs/api/errors>, <https://help.aliyun.com/zh/sms/developer-reference/api-error-codes>,
//! <https://help.aliyun.com/zh/vms/developer-reference/api-error-codes>, <https://cloud.tencent.com/document/api/382/55981>,
//! <https://cloud.tencent.com/document/api/1128/51558>, <https://open.dingtalk.com/document/orgapp/robot-sends-nail-messages>.
//! One that limits the rate stands in each: it pauses the channel, so that a second could not be told.

use super::fakes::fault::Fault;

type Rows = Vec<(Fault, &'static str)>;

fn json(status: u16, body: &str) -> Fault {
    Fault::Reply(status, "application/json".into(), body.into())
}

/// What looks like an outage, spread among what does not: five in a row would open the channel's breaker.
fn spread(rows: Rows) -> Rows {
    let (failures, answers): (Rows, Rows) = rows.into_iter().partition(|(_, kind)| matches!(*kind, "transient" | "ambiguous"));
    let mut failures = failures.into_iter();
    let mut all = Rows::new();
    for answer in answers {
        all.push(answer);
        all.extend(failures.next());
    }
    all.extend(failures);
    all
}

pub fn twilio() -> Rows {
    let no = |status: u16, code: u32| json(status, &format!(r#"{{"code":{code},"message":"why","more_info":"","status":{status}}}"#));
    let mut rows: Rows = Vec::new();
    let codes =
        [(401, 20003), (403, 20006), (404, 20404), (401, 20005), (400, 21606), (400, 21212), (400, 21660), (400, 21701), (400, 21703), (400, 21608)];
    rows.extend(codes.into_iter().chain([(400, 21408), (400, 30034), (400, 10001)]).map(|(status, code)| (no(status, code), "misconfigured")));
    let codes = [21211, 21214, 21217, 21604, 21610, 21612, 21614, 21635, 13224, 21602, 21617, 21654, 30007, 30023];
    rows.extend(codes.into_iter().map(|code| (no(400, code), "rejected")));
    rows.extend([(no(400, 21611), "transient"), (no(400, 30001), "transient"), (json(302, r#"{"sid":"SM1","status":"queued"}"#), "misconfigured")]);
    rows.push((json(201, r#"{"sid":"SM1","status":"undelivered","error_code":30005,"error_message":"Unknown destination handset"}"#), "rejected"));
    rows.push((no(429, 20429), "rate_limited"));
    spread(rows)
}

pub fn aliyun() -> Rows {
    let no = |code: &str, message: &str| json(200, &format!(r#"{{"Code":"{code}","Message":"{message}","RequestId":"R"}}"#));
    let rows = [
        ("isv.SMS_SIGNATURE_SCENE_ILLEGAL", "签名和模板类型不一致", "misconfigured"),
        ("isv.EXTEND_CODE_ERROR", "扩展码使用错误，相同的扩展码不可用于多个签名", "misconfigured"),
        ("isv.SIGN_STATE_ILLEGAL", "签名状态为“不可用”", "misconfigured"),
        ("isv.SMS_SIGNATURE_ILLEGAL", "该账号下找不到对应签名", "misconfigured"),
        ("isv.SMS_SIGN_ILLEGAL", "签名禁止使用", "misconfigured"),
        ("isv.SMS_TEMPLATE_ILLEGAL", "该账号下找不到对应模板", "misconfigured"),
        ("isv.TTS_TEMPLATE_ILLEGAL", "未找到审核通过的文本转语音模板", "misconfigured"),
        ("isv.DISPLAY_NUMBER_ILLEGAL", "号显不合法", "misconfigured"),
        ("isv.DENY_IP_RANGE", "源IP地址所在的地区被禁用", "misconfigured"),
        ("isp.RAM_PERMISSION_DENY", "RAM权限不足", "misconfigured"),
        ("isv.OUT_OF_SERVICE", "业务停机", "misconfigured"),
        ("isv.AMOUNT_NOT_ENOUGH", "账户余额不足", "misconfigured"),
        ("isv.PRODUCT_UN_SUBSCRIPT", "未开通云通信产品的阿里云客户", "misconfigured"),
        ("isv.PRODUCT_UNSUBSCRIBE", "产品未开通", "misconfigured"),
        ("isv.ACCOUNT_NOT_EXISTS", "账户不存在", "misconfigured"),
        ("isv.ACCOUNT_ABNORMAL", "账户异常", "misconfigured"),
        ("isv.SMS_TEMPLATE_ILLEGAL", "请检查模板内容与模板参数是否匹配", "rejected"),
        ("isv.SMS_TEMPLATE_ILLEGAL", "Please check whether the template content matches the template parameters", "rejected"),
        ("isv.TEMPLATE_MISSING_PARAMETERS", "模板变量缺少对应参数值", "rejected"),
        ("isv.TEMPLATE_PARAMS_ILLEGAL", "模板变量中存在非法参数", "rejected"),
        ("isv.INVALID_PARAMETERS", "参数格式不正确", "rejected"),
        ("isv.INVALID_JSON_PARAM", "参数格式错误，请修改为字符串值", "rejected"),
        ("isv.BLACK_KEY_CONTROL_LIMIT", "黑名单管控", "rejected"),
        ("isv.PARAM_LENGTH_LIMIT", "参数超过长度限制", "rejected"),
        ("isv.PARAM_NOT_SUPPORT_URL", "变量不支持传入URL", "rejected"),
        ("isv.SMS_CONTENT_ILLEGAL", "短信内容包含禁止发送内容", "rejected"),
        ("isv.DAY_LIMIT_CONTROL", "触发日发送限额", "rejected"),
        ("isv.MONTH_LIMIT_CONTROL", "触发月发送限额", "rejected"),
        ("isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:40", "rejected"),
        ("isv.BUSINESS_LIMIT_CONTROL", "触发小时级流控Permits:5", "rejected"),
        ("isv.MOBILE_NUMBER_ILLEGAL", "手机号码格式错误", "rejected"),
        ("isv.MOBILE_COUNT_OVER_LIMIT", "手机号码数量超过限制，最多支持1000条", "rejected"),
        ("isv.DOMESTIC_NUMBER_NOT_SUPPORTED", "国际/港澳台消息模板不支持发送境内号码", "rejected"),
        ("isp.SYSTEM_ERROR", "系统出现错误，请重新调用", "transient"),
        ("isp.GATEWAY_ERROR", "Gateway error", "transient"),
    ];
    let mut all: Rows = rows.into_iter().map(|(code, message, kind)| (no(code, message), kind)).collect();
    let gateway =
        |status: u16, code: &str| json(status, &format!(r#"{{"Code":"{code}","Message":"x","RequestId":"R","HostId":"h","Recommend":""}}"#));
    all.push((gateway(400, "SignatureDoesNotMatch"), "misconfigured"));
    all.push((gateway(404, "InvalidAccessKeyId.NotFound"), "misconfigured"));
    all.push((gateway(403, "NoPermission"), "misconfigured"));
    all.push((gateway(503, "ServiceUnavailable"), "transient"));
    all.push((json(302, r#"{"Code":"OK","Message":"OK","BizId":"B"}"#), "misconfigured"));
    all.push((no("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1"), "rate_limited"));
    spread(all)
}

pub fn tencent() -> Rows {
    let no = |code: &str| json(200, &format!(r#"{{"Response":{{"Error":{{"Code":"{code}","Message":"why"}},"RequestId":"R"}}}}"#));
    let mut rows: Rows = Vec::new();
    let codes = [
        "AuthFailure.SignatureFailure",
        "AuthFailure.SecretIdNotFound",
        "AuthFailure.InvalidSecretId",
        "FailedOperation.InsufficientBalanceInSmsPackage",
        "FailedOperation.InsufficientBalanceInVoicePackage",
        "FailedOperation.SignatureIncorrectOrUnapproved",
        "FailedOperation.TemplateIncorrectOrUnapproved",
        "FailedOperation.TemplateUnapprovedOrNotExist",
        "FailedOperation.PhonenumberUnappliedOrExpired",
        "UnauthorizedOperation.RequestIpNotInWhitelist",
        "UnauthorizedOperation.RequestPermissionDeny",
        "UnauthorizedOperation.SdkAppIdIsDisabled",
        "UnauthorizedOperation.SerivceSuspendDueToArrears",
        "UnauthorizedOperation.SmsSdkAppIdVerifyFail",
        "InvalidParameterValue.SdkAppIdNotExist",
        "InternalError.SigVerificationFail",
        "UnsupportedRegion",
        "IpInBlacklist",
    ];
    rows.extend(codes.map(|code| (no(code), "misconfigured")));
    let codes = [
        "FailedOperation.ContainSensitiveWord",
        "FailedOperation.TemplateParamSetNotMatchApprovedTemplate",
        "FailedOperation.FailResolvePacket",
        "FailedOperation.JsonParseFail",
        "FailedOperation.PhoneNumberInBlacklist",
        "InvalidParameterValue.IncorrectPhoneNumber",
        "InvalidParameterValue.CalledNumberVerifyFail",
        "InvalidParameterValue.ContentLengthLimit",
        "InvalidParameterValue.TemplateParameterFormatError",
        "InvalidParameterValue.TemplateParameterLengthLimit",
        "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter",
        "LimitExceeded.AppDailyLimit",
        "LimitExceeded.DeliveryFrequencyLimit",
        "LimitExceeded.PhoneNumberDailyLimit",
        "LimitExceeded.PhoneNumberOneHourLimit",
        "LimitExceeded.PhoneNumberSameContentDailyLimit",
        "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone",
    ];
    rows.extend(codes.map(|code| (no(code), "rejected")));
    rows.extend(["InternalError.OtherError", "InternalError.UnknownError", "FailedOperation.OtherError"].map(|code| (no(code), "transient")));
    let codes =
        ["InternalError.Timeout", "InternalError.RequestTimeException", "InternalError.SendAndRecvFail", "FailedOperation.AccessUpstreamTimeout"];
    rows.extend(codes.map(|code| (no(code), "ambiguous")));
    let good = r#"{"Response":{"SendStatusSet":[{"SerialNo":"S","Code":"Ok"}],"SendStatus":{"CallId":"C"},"RequestId":"R"}}"#;
    rows.extend([(json(302, good), "misconfigured"), (json(403, good), "misconfigured"), (json(400, good), "rejected")]);
    rows.push((no("RequestLimitExceeded"), "rate_limited"));
    spread(rows)
}

pub fn ding() -> Rows {
    let no = |status: u16, code: &str| json(status, &format!(r#"{{"requestid":"R","code":"{code}","message":"no"}}"#));
    spread(vec![
        (no(400, "invalidParameter.param.invalid"), "rejected"),
        (no(400, "miss.staffId"), "rejected"),
        (no(400, "ding.receivercount.limit"), "rejected"),
        (no(400, "ding.serverquota.insufficient"), "rejected"),
        (no(403, "Forbidden.AccessDenied.ApiCountLimitForOrg"), "rejected"),
        (no(400, "invalid.chatbotId"), "misconfigured"),
        (no(403, "Forbidden.AccessDenied.IpNotInWhiteList"), "misconfigured"),
        (no(403, "Forbidden.AccessDenied.AccessTokenPermissionDenied"), "misconfigured"),
        (no(400, "send.ding.exception"), "ambiguous"),
        (no(500, "system.error"), "ambiguous"),
        (json(302, r#"{"openDingId":"d1","failedList":{}}"#), "misconfigured"),
        (no(400, "toomuch.msg"), "rate_limited"),
    ])
}

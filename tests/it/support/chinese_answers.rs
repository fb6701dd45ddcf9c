//! What the Chinese platforms answer, from their lists of errors and from what people have reported, in both of their languages, and what each
//! means. Written from documents:
//! <https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages>, <https://developer.work.weixin.qq.com/document/path/90313>,
//! <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>, <https://open.feishu.cn/document/server-docs/im-v1/message/create>,
//! <https://www.pushplus.plus/doc/guide/code.html>, <https://sct.ftqq.com/sendkey>,
//! <https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns> (Bark).

/// HTTP status, body, and what it means: `ok`, or an error's kind.
pub type Row = (u16, &'static str, &'static str);

const DINGTALK: &[Row] = &[
    (200, r#"{"errcode":310000,"errmsg":"keywords not in content, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]"}"#, "rejected"),
    (
        200,
        r#"{"errcode":310000,"errmsg":"description:关键词不匹配;solution:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;"}"#,
        "rejected",
    ),
    (
        200,
        r#"{"errcode":310000,"errmsg":"description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中，请确认机器人的密钥加密和填写正确;link:…"}"#,
        "misconfigured",
    ),
    (200, r#"{"errcode":310000,"errmsg":"ip 198.51.100.7 not in whitelist"}"#, "misconfigured"),
    (200, r#"{"errcode":310000,"errmsg":"description:ip 不在白名单中;solution:请联系对应群的管理员，设置机器人安全ip地址段"}"#, "misconfigured"),
    (200, r#"{"errcode":300005,"errmsg":"token is not exist"}"#, "misconfigured"),
    (200, r#"{"errcode":300001,"errmsg":"token is not exist"}"#, "misconfigured"),
    (200, r#"{"errcode":300001,"errmsg":"message param title is null"}"#, "rejected"),
    (200, r#"{"errcode":40035,"errmsg":"缺少参数 access_token"}"#, "misconfigured"),
    (200, r#"{"errcode":40035,"errmsg":"缺少参数 json"}"#, "rejected"),
    (200, r#"{"errcode":400402,"errmsg":"miss param : markdown->title"}"#, "rejected"),
    (200, r#"{"errcode":43004,"errmsg":"无效的HTTP HEADER Content-Type"}"#, "rejected"),
    (200, r#"{"errcode":400013,"errmsg":"群已被解散"}"#, "misconfigured"),
    (200, r#"{"errcode":400101,"errmsg":"access_token不存在"}"#, "misconfigured"),
    (200, r#"{"errcode":400102,"errmsg":"机器人已停用"}"#, "misconfigured"),
    (200, r#"{"errcode":400105,"errmsg":"不支持的消息类型"}"#, "rejected"),
    (200, r#"{"errcode":400106,"errmsg":"机器人不存在"}"#, "misconfigured"),
    (200, r#"{"errcode":430101,"errmsg":"含有不安全的外链"}"#, "rejected"),
    (200, r#"{"errcode":430104,"errmsg":"含有不合适的内容"}"#, "rejected"),
    (200, r#"{"errcode":-1,"errmsg":"系统繁忙"}"#, "transient"),
    (200, r#"{"errcode":90030,"errmsg":"webhook api quota of this month is used up"}"#, "misconfigured"),
    (500, r#"{"errcode":310000,"errmsg":"sign not match"}"#, "transient"),
    (200, r#"{"errcode":410100,"errmsg":"发送速度太快而限流"}"#, "rate_limited"),
    (429, r#"{"errcode":400102,"errmsg":"机器人已停用"}"#, "rate_limited"),
    (200, r#"{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"3c9f0d7be2f14e8ba1c0a3d6c2a7d955"}"#, "rate_limited"),
];

const WECOM: &[Row] = &[
    (200, r#"{"errcode":-1,"errmsg":"system busy"}"#, "transient"),
    (200, r#"{"errcode":6000,"errmsg":"数据版本冲突"}"#, "transient"),
    (200, r#"{"errcode":40013,"errmsg":"invalid corpid"}"#, "misconfigured"),
    (200, r#"{"errcode":40056,"errmsg":"invalid agentid"}"#, "misconfigured"),
    (200, r#"{"errcode":48002,"errmsg":"api forbidden"}"#, "misconfigured"),
    (200, r#"{"errcode":50003,"errmsg":"app is disabled"}"#, "misconfigured"),
    (200, r#"{"errcode":301002,"errmsg":"not allow operate another agent with this accesstoken"}"#, "misconfigured"),
    (
        200,
        r#"{"errcode":60020,"errmsg":"not allow to access from your ip, hint: […], from ip: 198.51.100.7, more info at https://open.work.weixin.qq.com/devtool/query?e=60020"}"#,
        "misconfigured",
    ),
    (200, r#"{"errcode":81013,"errmsg":"user & party & tag all invalid"}"#, "rejected"),
    (200, r#"{"errcode":60111,"errmsg":"userid not found"}"#, "rejected"),
    (200, r#"{"errcode":82004,"errmsg":"发送内容涉嫌违规"}"#, "rejected"),
    (200, r#"{"errcode":40058,"errmsg":"text.content exceed max length. invalid Request Parameter"}"#, "rejected"),
    (500, r#"{"errcode":60020,"errmsg":"not allow to access from your ip"}"#, "transient"),
    (200, r#"{"errcode":45033,"errmsg":"接口并发调用超过限制"}"#, "rate_limited"),
    (429, r#"{"errcode":50003,"errmsg":"app is disabled"}"#, "rate_limited"),
];

const WECOM_ROBOT: &[Row] = &[
    (200, r#"{"errcode":-1,"errmsg":"system busy"}"#, "transient"),
    (200, r#"{"errcode":93004,"errmsg":"机器人被停用"}"#, "misconfigured"),
    (200, r#"{"errcode":93008,"errmsg":"不在群里"}"#, "misconfigured"),
    (200, r#"{"errcode":44004,"errmsg":"empty content"}"#, "rejected"),
    (200, r#"{"errcode":82004,"errmsg":"发送内容涉嫌违规"}"#, "rejected"),
    (503, r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#, "transient"),
    (429, r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#, "rate_limited"),
];

const FEISHU: &[Row] = &[
    (200, r#"{"StatusCode":0}"#, "ok"),
    (200, r#"{"Extra":null,"StatusCode":0,"StatusMessage":"success"}"#, "ok"),
    (200, r#"{"code":19002,"msg":"params error, msg_type need"}"#, "rejected"),
    (200, r#"{"code":19022,"msg":"Ip Not Allowed"}"#, "misconfigured"),
    (200, r#"{"code":19024,"msg":"Key Words Not Found"}"#, "rejected"),
    (200, r#"{"code":19036,"msg":"the request body is too large"}"#, "rejected"),
    (
        200,
        r#"{"code":11246,"data":{},"msg":"ErrCode: 100290; ErrMsg: there is an invalid user resource (at/person) in your card; ErrorValue: x****; "}"#,
        "rejected",
    ),
    (200, r#"{"code":2200,"msg":"internal error","data":{}}"#, "transient"),
    (500, r#"{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}"#, "transient"),
    (200, r#"{"code":9499,"msg":"too many request","data":{}}"#, "rate_limited"),
    (429, r#"{"code":19001,"msg":"param invalid"}"#, "rate_limited"),
];

const FEISHU_APP: &[Row] = &[
    (400, r#"{"code":230001,"msg":"Your request contains an invalid request parameter, ext=invalid receive_id."}"#, "misconfigured"),
    (400, r#"{"code":230006,"msg":"Bot ability is not activated."}"#, "misconfigured"),
    (400, r#"{"code":230013,"msg":"Bot has NO availability to this user."}"#, "misconfigured"),
    (400, r#"{"code":230025,"msg":"The length of the message content reaches its limit."}"#, "rejected"),
    (400, r#"{"code":230028,"msg":"The messages do NOT pass the audit."}"#, "rejected"),
    (400, r#"{"code":230027,"msg":"Lack of necessary permissions."}"#, "misconfigured"),
    (400, r#"{"code":230049,"msg":"The message is being sent."}"#, "transient"),
    (
        400,
        r#"{"code":230099,"msg":"Failed to create card content, ext=ErrCode: 100290; ErrMsg: there is an invalid user resource (at/person) in your card"}"#,
        "rejected",
    ),
    (403, r#"{"code":99991401,"msg":"ip is denied by app setting"}"#, "misconfigured"),
    (400, r#"{"code":99991672,"msg":"Access denied. One of the following scopes is required"}"#, "misconfigured"),
    (400, r#"{"code":99991402,"msg":"field validation failed"}"#, "rejected"),
    (504, r#"{"code":230002,"msg":"Bot/User can NOT be out of the chat."}"#, "transient"),
    (400, r#"{"code":230020,"msg":"This operation triggers the frequency limit."}"#, "rate_limited"),
    (400, r#"{"code":99991400,"msg":"request trigger frequency limit"}"#, "rate_limited"),
];

const BARK: &[Row] = &[
    (400, r#"{"code":400,"message":"device key is empty"}"#, "misconfigured"),
    (500, r#"{"code":500,"message":"push failed: APNS push failed: BadDeviceToken"}"#, "misconfigured"),
    (500, r#"{"code":500,"message":"push failed: APNS push failed: InvalidProviderToken"}"#, "misconfigured"),
    (500, r#"{"code":500,"message":"push failed: APNS push failed: ServiceUnavailable"}"#, "transient"),
    (500, r#"{"code":500,"message":"push failed: APNS push failed: TooManyRequests"}"#, "rate_limited"),
];

const SERVERCHAN: &[Row] = &[
    (400, r#"{"code":40001,"message":"[INPUT]标题不能为空"}"#, "rejected"),
    (400, r#"{"code":40001,"message":"[INPUT]\u4e0d\u8981\u91cd\u590d\u53d1\u9001\u540c\u6837\u7684\u5185\u5bb9"}"#, "ok"),
    (400, r#"{"code":40001,"errno":1024,"message":"bad pushtoken"}"#, "misconfigured"),
    (500, r#"{"code":40001,"message":"[AUTH]错误的Key"}"#, "transient"),
];

const PUSHPLUS: &[Row] = &[
    (200, r#"{"code":999,"msg":"请勿频繁推送相同内容","data":null}"#, "ok"),
    (200, r#"{"code":999,"msg":"服务端验证错误","data":null}"#, "rejected"),
    (200, r#"{"code":500,"msg":"系统异常，请稍后再试","data":null}"#, "transient"),
    (200, r#"{"code":600,"msg":"数据异常，操作失败","data":null}"#, "rejected"),
    (200, r#"{"code":403,"msg":"请求IP未授权","data":null}"#, "misconfigured"),
    (200, r#"{"code":888,"msg":"积分不足，需要充值","data":null}"#, "misconfigured"),
    (200, r#"{"code":905,"msg":"账户未进行实名认证","data":null}"#, "misconfigured"),
    (502, r#"{"code":903,"msg":"无效的用户令牌","data":null}"#, "transient"),
];

/// The rows of a channel of the battery.
pub fn of(channel: &str) -> &'static [Row] {
    match channel {
        "dingtalk" => DINGTALK,
        "wecom" => WECOM,
        "wecom_robot" => WECOM_ROBOT,
        "feishu" => FEISHU,
        "feishu-app" => FEISHU_APP,
        "bark" => BARK,
        "serverchan" => SERVERCHAN,
        "pushplus" => PUSHPLUS,
        _ => &[],
    }
}

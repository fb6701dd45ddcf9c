//! What the Chinese voice vendors post about a call: unsigned JSON, to an address that is entered in their consoles.

use serde_json::{Value, json};

/// Alibaba Cloud, while the call goes on (<https://help.aliyun.com/zh/vms/developer-reference/voicecallreport-4>): a key was pressed.
pub fn aliyun_key(call_id: &str, key: &str) -> Value {
    json!([{ "status_code": "300000", "smart_status_code": "ANSWERED", "dtmf": key, "status_time": "2023-03-06 16:21:12", "out_id": "", "call_id": call_id }])
}

/// Alibaba Cloud, once it ended (<https://help.aliyun.com/zh/vms/developer-reference/voicereport-6>); the key again. Reports of other calls are in the list.
pub fn aliyun_end(call_id: &str, callee: &str, key: &str) -> Value {
    let one = |call_id: &str, callee: &str, key: &str| {
        json!({ "call_id": call_id, "start_time": "2023-03-06 16:21:02", "end_time": "2023-03-06 16:21:22", "duration": "10", "status_code": "200000",
            "status_msg": "用户接听", "out_id": "", "dtmf": key, "callee": callee, "voice_type": "voice" })
    };
    json!([one("9990001^9990001", "13700000000", "1"), one(call_id, callee, key)])
}

/// Tencent Cloud (<https://cloud.tencent.com/document/product/1128/51535>): a key was pressed.
pub fn tencent_key(call_id: &str, mobile: &str, key: &str) -> Value {
    json!({ "voicekey_callback": { "call_from": "", "callid": call_id, "keypress": key, "mobile": mobile, "nationcode": "86" } })
}

/// Tencent Cloud (<https://cloud.tencent.com/document/product/1128/51534>): it was answered, and ended.
pub fn tencent_end(call_id: &str, mobile: &str) -> Value {
    json!({ "voiceprompt_callback": { "result": "0", "accept_time": "1470197211", "call_from": "", "callid": call_id, "end_calltime": "1470197221", "fee": "1",
        "mobile": mobile, "nationcode": "86", "start_calltime": "1470197196" } })
}

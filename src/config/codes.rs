//! The codes of everything that can be found in a configuration. They are stable: scripts compare them, people look them up with
//! `watchfire check --explain CODE`. A code is never reused for something else.

use crate::model::yaml::Fault;

/// What a code means.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// `E014`, `W101`.
    pub code: &'static str,
    /// In one line.
    pub title: &'static str,
    /// The same in Chinese.
    pub title_zh: &'static str,
    /// In a paragraph: what it means, why it matters, what to do.
    pub text: &'static str,
    /// What to do, in a sentence of Chinese.
    pub help_zh: &'static str,
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}\n\n{}", self.code, self.title, self.text)
    }
}

macro_rules! codes {
    ($($name:ident $code:literal $title:literal $title_zh:literal $text:literal $help_zh:literal)+) => {
        $(
            #[doc = concat!("`", $code, "`: ", $title, ".")]
            pub const $name: &str = $code;
        )+

        /// All codes, in order.
        pub const ALL: &[Code] = &[$(Code { code: $code, title: $title, title_zh: $title_zh, text: $text, help_zh: $help_zh }),+];
    };
}

/// The code of a mistake in the document itself.
pub fn of_document(fault: Fault) -> &'static str {
    match fault {
        Fault::Syntax => SYNTAX,
        Fault::TooLarge => TOO_LARGE,
        Fault::DuplicateKey => DUPLICATE_KEY,
    }
}

codes! {
    UNREADABLE "E001" "the file cannot be read" "无法读取文件"
        "The configuration file does not exist, cannot be opened, or is not UTF-8. Name it with `--config FILE`; the default is `routes.yaml` in the current folder."
        "用 `--config FILE` 指定文件（默认为当前目录的 `routes.yaml`），并确认文件存在、可读且为 UTF-8 编码。"
    SYNTAX "E002" "the file is not valid YAML" "不是有效的 YAML"
        "The text breaks YAML's rules, so nothing after that place can be read. The usual causes are tabs, a missing quote, a `: ` inside an unquoted value, and lines that are not \
         lined up. Values that begin with `@`, `*`, `&`, `%`, `!` or a back quote need quotes."
        "检查该处及其上方：制表符、缺少的引号、未加引号的值里的 `: `、没有对齐的行；以 `@`、`*`、`&`、`%`、`!` 或反引号开头的值要加引号。"
    DUPLICATE_KEY "E003" "a key appears twice in one mapping" "同一映射中的键重复"
        "YAML readers would silently take one of the two. Keep the one you mean."
        "两个只会有一个生效：保留需要的，删除另一个。"
    TOO_LARGE "E004" "the document is too large or too deep" "文档过大或嵌套过深"
        "A configuration has at most 1 MiB, 64 levels and 100,000 values with its aliases written out. This keeps a few lines of aliases from filling the memory."
        "配置最大 1 MiB、64 层、展开别名后 100,000 个值：减少别名或嵌套，也可以用 `include` 拆分。"
    UNKNOWN_KEY "E005" "a key that does not exist" "不存在的键"
        "The key is not known at this place, so what it was meant to do would not happen. It is probably a typing mistake, or it belongs one level higher or lower. Top-level keys \
         that begin with `x-` are ignored and may hold anchors."
        "该键在此处不起作用：检查拼写，或将它移到上一层或下一层。"
    WRONG_TYPE "E006" "a value of the wrong kind" "值的类型不对"
        "For example a list where a text is expected. The message says what is expected; secrets are never repeated in it."
        "按下方详情写成所需的类型，例如需要文本的地方写成了列表。"
    MISSING_KEY "E007" "a required key is missing" "缺少必填的键"
        "The mapping cannot be used without it."
        "补上缺少的键：没有它，这一段配置无法使用。"
    NOT_ALLOWED "E008" "a value that is not one of those allowed" "值不在允许的范围内"
        "The value must be one of a short list, which the message names."
        "改为下方详情列出的值之一。"
    OUT_OF_RANGE "E009" "a number or time outside what makes sense" "数值或时间超出合理范围"
        "The number or duration is smaller or larger than what can work."
        "将数值或时间调整到下方详情给出的范围内。"
    BAD_DURATION "E010" "not a duration" "不是有效的时长"
        "Durations are written as in Prometheus: `30s`, `5m`, `1h30m`, `1d`, `2w`; units y, w, d, h, m, s, ms, from large to small, each once, whole numbers."
        "按 Prometheus 的写法：`30s`、`5m`、`1h30m`、`1d`、`2w`；单位从大到小，每个只写一次，只用整数。"
    BAD_ZONE "E011" "an unknown time zone" "未知的时区"
        "Time zones have IANA names such as `Asia/Shanghai`, `Europe/Berlin` or `UTC`. The list is built in; the system's is not needed."
        "使用 IANA 时区名，例如 `Asia/Shanghai`、`Europe/Berlin` 或 `UTC`。"
    BAD_ADDRESS "E012" "not an address, URL or network" "不是有效的地址、URL 或网段"
        "`listen` takes `host:port` with an IP address or `localhost`; URLs begin with http:// or https://; networks are written `10.0.0.0/8`."
        "`listen` 写成 `host:port`，host 为 IP 地址或 `localhost`；URL 以 http:// 或 https:// 开头；网段写成 `10.0.0.0/8`。"
    BAD_SIZE "E013" "not a size" "不是有效的大小"
        "Sizes are written as a number of bytes or with a unit: `512KiB`, `8MiB`, `2GiB` (powers of 1024) or `10MB` (powers of 1000)."
        "写字节数或带单位：`512KiB`、`8MiB`、`2GiB`（1024 进位）或 `10MB`（1000 进位）。"
    UNKNOWN_CHANNEL "E014" "a channel that does not exist" "通道不存在"
        "A route, fallback, binding or test names a channel that is not defined under `channels:`. Alerts sent there would go nowhere."
        "检查通道名的拼写，或在 `channels:` 下定义该通道；否则发往它的告警无处可去。"
    UNKNOWN_TEMPLATE "E015" "a template set that does not exist" "模板集不存在"
        "A template set is a group of files `templates/<platform>/<set>.<field>.hbs`. The set must exist for the platform of each channel that uses it; `default` always does."
        "在模板目录中建立 `<platform>/<set>.<field>.hbs`，或改用已有的模板集；`default` 始终存在。"
    UNKNOWN_INTERVAL "E016" "a time interval that does not exist" "时间段不存在"
        "`mute_time_intervals` and `active_time_intervals` on a route name entries of `time_intervals:`."
        "在 `time_intervals:` 下定义该时间段，或更正路由中的名称。"
    BAD_MATCHER "E017" "a matcher that cannot be read" "无法解析的匹配条件"
        "Matchers are written as in Alertmanager: `severity=\"critical\"`, `team!=\"db\"`, `team=~\"db|infra\"`, `team!~\"test.*\"`, several with commas. Regular expressions follow Go's \
         RE2 syntax and must match the whole value."
        "按 Alertmanager 的写法：`severity=\"critical\"`、`team=~\"db|infra\"`；正则表达式使用 RE2 语法，须匹配整个值。"
    SPLIT_MATCHER "E018" "a matcher that YAML has split at a comma" "匹配条件被 YAML 在逗号处拆开"
        "In a list such as `[ team=~\"a,b\" ]` YAML takes the comma as its own and makes two entries of it. Put quotes around the whole matcher: `[ 'team=~\"a,b\"' ]`."
        "给整个匹配条件加引号：`[ 'team=~\"a,b\"' ]`。"
    BAD_NAME "E019" "a name that cannot be used" "名称不可用"
        "Names of channels, time intervals and credentials have letters of any script, digits, `-`, `_` and `.`, begin with a letter or digit, and are at most 64 characters long: they appear in URLs, \
         metrics and on command lines."
        "名称只用文字、数字、`-`、`_` 和 `.`，以文字或数字开头，最长 64 个字符。"
    PLATFORM_COUNT "E020" "a channel without a platform, or with several" "通道没有平台，或有多个平台"
        "A channel is one destination of one platform: it has exactly one platform block (`slack: {..}`, `email: {..}`)."
        "每个通道只写一个平台块；要发往多个平台，请定义多个通道。"
    BAD_CHANNEL "E021" "a channel's settings cannot work" "通道的设置无法工作"
        "The platform would refuse them, or they contradict each other. The message says which and what to do."
        "按下方详情更正该设置：否则平台会拒绝，或设置之间互相矛盾。"
    BAD_SECRET "E022" "a secret that is not written as one" "密钥的写法不对"
        "A secret is a text, `{ env: NAME }` or `{ file: PATH }`, without a default, which would be a secret in the file. What is there is never repeated in messages."
        "密钥写成文本、`{ env: NAME }` 或 `{ file: PATH }`，不要写默认值。"
    MISSING_SECRET "E023" "a secret that is not there" "密钥不存在"
        "The environment variable is not set, or the file is missing, unreadable, empty or too large. `check --without-secrets` skips this, for a build server that has none."
        "设置该环境变量，或提供可读且非空的文件；没有密钥的构建服务器可用 `check --without-secrets`。"
    FALLBACK_CYCLE "E024" "fallbacks that go in a circle" "fallback 形成循环"
        "A channel falls back, perhaps over others, to itself. What one channel of the circle cannot send would be handed around."
        "去掉其中一个 `fallback`，使通道不会绕回自身。"
    WRONG_PLATFORM "E025" "a direct path bound to the wrong platform" "兼容路径绑定了错误的平台"
        "Each direct path speaks for one platform: `email` needs an e-mail channel, `slack` a Slack channel, `dingding` a DingTalk robot, `wx` a WeCom application."
        "将该路径绑定到它所属平台的通道。"
    OPEN_LISTENER "E026" "everybody on the network could send alerts" "网络中任何人都能发送告警"
        "The server listens on an address that others can reach, without `server.auth`. Add credentials, listen on 127.0.0.1, or write `auth: none` on purpose. When every channel is `log` \
         this is allowed."
        "在 `server.auth` 添加凭证，或只监听 127.0.0.1；确实不需要时写明 `auth: none`。"
    OPEN_LEGACY "E027" "everybody on the network could use the direct paths" "网络中任何人都能使用兼容路径"
        "`legacy.auth: none` lets callers send without credentials. On an address that others can reach this needs `legacy.allow_ips`, the networks of the old clients."
        "用 `legacy.allow_ips` 写明旧客户端的网段，或启用凭证。"
    BAD_INTERVAL "E028" "a time interval that cannot be read" "无法解析的时间段"
        "Time intervals have Alertmanager's shape: `times: [{start_time: '09:00', end_time: '17:00'}]`, `weekdays: ['monday:friday']`, `days_of_month`, `months`, `years`, `location`."
        "按 Alertmanager 的写法：`times: [{start_time: '09:00', end_time: '17:00'}]`、`weekdays: ['monday:friday']` 等。"
    NO_TEMPLATES "E029" "the template folder cannot be read" "无法读取模板目录"
        "`templates:` names a folder that does not exist or may not be read, or one of its files is not text. Without `templates:` the built-in templates are used."
        "确认 `templates:` 指向的目录存在、可读，其中的文件为文本；不写 `templates:` 则使用内置模板。"
    FAILED_TEST "E030" "a test of the routing failed" "路由测试未通过"
        "The labels under `tests:` go to other channels than expected. Either the route or the expectation is wrong; `watchfire route` shows the path through the tree."
        "更正路由，或更正 `tests:` 中的期望；`watchfire route` 显示标签经过的路径。"
    BAD_ROUTE "E031" "a route that cannot work" "路由无法工作"
        "The routing tree cannot be built: for example the first route has `matchers`, or no route says where to send."
        "更正路由树：例如首个路由不能有 `matchers`，并且要写明发往哪里。"
    BAD_SCALE "E032" "a severity scale that cannot work" "严重级别的设置无法工作"
        "`order` needs at least two different values; `aliases` point to values in `order`."
        "`order` 至少写两个不同的值，`aliases` 指向其中的值。"
    BAD_AUTH "E033" "a credential that cannot work" "凭证无法工作"
        "Each entry of `server.auth` has exactly one kind (`bearer`, `basic`, `hmac`), names are unique, and secrets are not empty."
        "`server.auth` 的每一项只用一种（`bearer`、`basic`、`hmac` 或 `proxy`），名称不重复，密钥不为空。"
    TAKEN_NAME "E034" "a name that is used twice" "名称重复"
        "Channels, former names (`previous_names`), time intervals and credentials must be distinguished by their names."
        "给其中一个换名：通道、曾用名（`previous_names`）、时间段和凭证的名称不能重复。"
    BAD_TLS "E035" "TLS files that cannot be used" "TLS 文件不可用"
        "`server.tls` names a certificate chain and its private key, both in PEM."
        "在 `server.tls` 写明 PEM 格式的证书链和私钥，并确认文件可读。"
    BAD_INPUT "E036" "an input that cannot work" "输入的设置无法工作"
        "An input names its alerts with a JSON pointer (`/events`), and their values with Handlebars over `body` and `alert` (`'{{alert.title}}'`). The message says which part is wrong."
        "按下方详情更正该输入：用 JSON pointer（`/events`）指明告警，用 Handlebars 从 `body` 和 `alert` 取值。"
    UNKNOWN_PERSON "E037" "a person that does not exist" "人员不存在"
        "A step of an escalation names somebody who is not defined under `people:`. Nobody would be reached."
        "在 `people:` 下定义此人，或更正升级步骤中的名称；否则通知不到任何人。"
    UNKNOWN_ESCALATION "E038" "an escalation that does not exist" "升级策略不存在"
        "`escalation` on a route, and `escalation NAME` in a test, name an entry of `escalations:`."
        "在 `escalations:` 下定义该升级策略，或更正路由或测试中的名称。"
    BAD_ESCALATION "E039" "an escalation that cannot work" "升级策略无法工作"
        "Its steps come in the order of their times, each notifies at least one channel, and each channel reaches the people that the step names: SMS and calls by `mobile`, mails by \
         `email`, chats by the person's id on the platform."
        "步骤按时间先后排列，每步至少通知一个通道，并且该通道能联系到步骤中的人（手机、邮箱或平台 ID）。"
    TEMPLATE_SYNTAX "E040" "a template that cannot be read" "无法解析的模板"
        "The template breaks Handlebars' rules: a block that is not closed, a name that needs brackets, a brace too many. Line and column are those of the template."
        "按下方的行和列更正模板：未关闭的块、需要方括号的名称，或多余的大括号。"
    TEMPLATE_FIELD "E041" "a template uses a field that does not exist" "模板使用了不存在的字段"
        "The field is not one of those that templates see, so it would always be empty. Names inside `labels`, `annotations` and `values` are the sender's and need not exist."
        "改用模板可见的字段：该字段不存在，渲染出来始终为空。`labels`、`annotations` 和 `values` 中的名称由发送方决定，不检查。"
    TEMPLATE_FUNCTION "E042" "a template uses a function that does not exist, or uses one wrongly" "模板使用了不存在的函数，或用法不对"
        "The function is not known, or it is given too few, too many or wrong arguments."
        "更正函数名，或参数的个数和类型。"
    TEMPLATE_PARTIAL "E043" "a template includes a partial that cannot be included" "模板包含了无法包含的片段"
        "The partial does not exist, includes itself over others, or is named by a value. Partials are files whose names begin with `_`."
        "建立以 `_` 开头的片段文件，更正名称，或去掉片段之间的循环包含。"
    TEMPLATE_SAMPLE "E044" "a template fails on a sample" "模板在样例上渲染失败"
        "Every template is tried on sample messages: firing, resolved, both, many, Chinese, hostile. This one fails on the sample that the message names."
        "按下方详情更正模板：它在指明的样例上渲染失败，实际发送时会改用内置文本。"
    TEMPLATE_MISSING "E046" "a platform lacks a template for one of its fields" "平台的某个字段缺少模板"
        "Neither the set nor the platform's `default` set has a template for a field that messages need."
        "为该字段添加模板：在此模板集或该平台的 `default` 模板集中。"
    BAD_PRESET "E047" "a preset that cannot be used" "预设不可用"
        "A preset is a file `presets/<name>.yaml` in the template folder: `title`, `about`, `docs`, `parameters`, `request`, `success`, `errors`, `limits` and answers on record. Everything \
         its request mentions is a parameter, its success names the service's own word, and the answers on record mean what the file says. docs/presets.md describes it."
        "按下方详情更正预设文件；格式见 docs/presets.zh-CN.md。"
    BAD_PERSON "E048" "a person who cannot be reached or known" "人员无法联系或无法识别"
        "An address, number or id under `people:` is none, or two people have the same one. The message says which."
        "更正该地址、号码或 ID；两个人不能使用同一个。"
    BAD_ROTA "E049" "a rota that cannot work" "轮值表无法工作"
        "Its zone exists, its handoff is a time of day (`10:00`; `monday 10:00` of a weekly rota), its start is a date, and everybody in it is defined under `people:`."
        "更正轮值表：时区存在，`handoff` 为时刻（`10:00`；每周轮换写 `monday 10:00`），`start` 为日期，人员都在 `people:` 中定义。"
    BAD_IMPORT "E050" "a configuration that cannot be imported" "无法导入的配置"
        "`watchfire import` reads what Alertmanager itself accepts. The message names the place that it would refuse, or that has no equal here; correct it there and import again."
        "按下方详情更正原文件中的该处，然后重新导入。"
    FOREIGN "E051" "a file of another program" "其他程序的配置文件"
        "The file has the keys of another program's configuration. `watchfire import` makes a routes.yaml of an Alertmanager configuration, and lists what of it stays there."
        "这是其他程序的配置：用 `watchfire import` 从它生成 routes.yaml。"
    UNKNOWN_ROTA "E052" "a rota that does not exist" "轮值表不存在"
        "`oncall` and `next` name an entry of `rotas:`."
        "在 `rotas:` 下定义该轮值表，或更正名称。"
    BAD_TEAM "E053" "a team that cannot be used" "团队不可用"
        "Everybody in `people` is defined under `people:`, its channels exist, and it has one of both; its name is not that of a person, because a label may name either."
        "团队中的人员和通道都要已定义，至少有其中一种；团队名不能与人员同名。"
    BAD_SILENCE "E055" "an Alertmanager that cannot be asked to be silent" "无法向该 Alertmanager 请求静默"
        "`silence.alertmanager` lists Alertmanagers by their addresses (`http://alertmanager.example.com:9093`), with `bearer` or `basic` where they ask for it. The message says what is wrong with one."
        "按下方详情更正 `silence.alertmanager` 中的地址（`http://alertmanager.example.com:9093`）或凭证。"
    REFUSED_SILENCE "E056" "an Alertmanager does not answer" "Alertmanager 没有响应"
        "`watchfire check --online` asks every Alertmanager of `silence` for its status. This one refused, or did not answer; the message has its words."
        "检查该 Alertmanager 是否在运行、地址和凭证是否正确；下方有它的答复。"
    BAD_MUTE "E057" "a mute that cannot work" "静音无法生效"
        "A mute says what it is for: matchers that do not match everything, a reason, and its end, by `until` or by `mute_time_intervals`. Everything else would be \
         a silence that nobody notices."
        "写明匹配条件（不能匹配全部）、原因，以及结束时间：`until` 或 `mute_time_intervals`。"
    UNKNOWN_MUTE "E058" "a mute that does not exist" "静音不存在"
        "A test expects `muted by NAME`, and no entry of `mutes:` or `time_intervals:` has this name."
        "更正测试中的名称，或在 `mutes:` 或 `time_intervals:` 下定义它。"
    BAD_BODY "E060" "a stored body that cannot be used" "保存的请求体不可用"
        "`watchfire check --payloads DIR` reads every `*.json` in the folder as the webhook would. This one would be refused, or no route takes it, so its alerts would reach nobody. \
         The message says why."
        "按下方详情更正请求体或路由：实际收到时会被拒绝，或没有通道会收到。"
    BODY_TEMPLATE "E061" "a template fails on a stored body" "模板在保存的请求体上渲染失败"
        "`watchfire check --payloads DIR` renders every body by every template set that a channel or a route uses. On this one a template fails or renders more than the platform takes: \
         the built-in text would be sent instead. `watchfire render --channel NAME --payload FILE` shows it."
        "按下方详情更正模板：在此请求体上会改发内置文本；`watchfire render --channel NAME --payload FILE` 可查看结果。"
    REFUSED_CHANNEL "E062" "a channel cannot deliver as it is configured" "按当前配置通道无法投递"
        "`watchfire check --online` asks every platform that can be asked without sending whether it accepts the credentials. This one refused, or did not answer; the message has its words."
        "按平台的答复更正该通道的凭证或设置；没有答复时检查网络和代理。"
    GOLDEN "E063" "a stored body renders to something else than its golden file" "保存的请求体的渲染结果与基准文件不同"
        "`watchfire check --payloads DIR --golden DIR` compares what every body renders to with the files of the second folder, and prints the lines that differ. When the change is \
         wanted, `--update` writes the files."
        "核对差异：不应改变时更正模板，确认改变时用 `--update` 写入基准文件。"
    BAD_INCLUDE "E070" "an included file that cannot be used" "include 的文件不可用"
        "`include:` names files of teams below the folder of routes.yaml, at most 500 with 4 MiB together. A file may have `channels`, `people`, `teams`, `rotas`, `escalations`, \
         `time_intervals`, `tests` and `route`; its routes see the alerts that the `matchers` of its `include` let in, and lead to its own channels and those of routes.yaml. It names \
         its own secrets (for `teams/db.yaml` variables that begin with `DB_`, and files in `teams/db/`) and those that the `include` lists under `secrets`. Its teams, and the \
         former names of its channels, are called as the file or begin so (`db`, `db-night`)."
        "按下方详情更正：文件须在 routes.yaml 所在目录之下，只用自己的通道、密钥和名称前缀，或由 `include` 授予的内容。"
    MISSING_VARIABLE "E071" "an environment variable that is not set" "环境变量未设置"
        "A text of the file is `{ env: NAME }`, and the variable is not set or empty. Set it where Watchfire runs and where it is checked, or write a default: \
         `{ env: NAME, default: .. }`. These are no secrets, and `--without-secrets` reads them, too."
        "在运行和检查 Watchfire 的环境中设置该变量，或写默认值：`{ env: NAME, default: .. }`。"
    UNUSED_FILE "W045" "a file in the template folder that is not used" "模板目录中有未使用的文件"
        "Only files named `<platform>/<set>.<field>.hbs` are read, where the platform and the field are known, and partials `_<name>.hbs` that a template includes. The file has no effect."
        "该文件不起作用：删除它，或按 `<platform>/<set>.<field>.hbs` 命名；片段 `_<name>.hbs` 须被某个模板包含。"
    LITERAL_SECRET "W101" "a secret is in the file" "密钥直接写在文件中"
        "The file is easily copied, committed or shown. Put the value into an environment variable (`{ env: NAME }`) or a file (`{ file: PATH }`)."
        "将密钥移到环境变量（`{ env: NAME }`）或文件（`{ file: PATH }`）：配置文件很容易被复制、提交或展示。"
    TWO_RATE_LIMITS "W102" "two channels share a credential but not a rate limit" "两个通道共用凭证，限速却不同"
        "The platform's limit counts the credential, so both channels share one outlet and the lower limit holds for both. Give both the same `rate_limit`."
        "给两个通道写相同的 `rate_limit`：平台按凭证计数，现在两者都按较低的限速。"
    UNREACHABLE_ROUTE "W103" "a route that no alert can reach" "没有告警能到达的路由"
        "A sibling before it, without `continue: true`, takes everything that it would match. Change their order, or add `continue: true` to the earlier one."
        "调整路由顺序，或给前面的路由加上 `continue: true`：前面的路由已接走全部告警。"
    DOUBTFUL_ROUTE "W104" "a route that may not do what was meant" "路由的效果可能与预期不同"
        "It can be used as it is, but something about it is unusual. The message says what."
        "按下方详情检查该路由：可以使用，但写法不寻常。"
    DOUBTFUL_CHANNEL "W105" "a channel that may not do what was meant" "通道的效果可能与预期不同"
        "It can be used as it is, but something about it is unusual. The message says what."
        "按下方详情检查该通道：可以使用，但写法不寻常。"
    DOUBTFUL_SERVER "W106" "a server setting that may not do what was meant" "服务器设置的效果可能与预期不同"
        "It can be used as it is, but something about it is unusual. The message says what."
        "按下方详情检查该设置：可以使用，但写法不寻常。"
    VARIABLE "W107" "a variable that nothing replaces" "不会被替换的变量"
        "`${NAME}` and `$NAME` are texts like any other here: nothing puts a value in their place. Secrets are read with `{ env: NAME }`; everything else is in the file. \
         A label of an alert chooses among channels that are named: `to: { label: team, default: [ops] }`."
        "`${NAME}` 和 `$NAME` 会原样保留：密钥写 `{ env: NAME }`，其他的值直接写在文件中。"
    STORM "W108" "a storm of alerts would become a storm of text messages or calls" "告警风暴会变成短信或电话风暴"
        "On a channel that people pay for by the message, and are woken by, nothing bounds how many messages a bad hour brings. Give the channel a `rate_limit` that digests can keep to, or let it be the \
         `fallback` of another channel."
        "给通道设置 `rate_limit`，使风暴时合并为汇总；或将它用作其他通道的 `fallback`。"
    NO_CALLBACK "W109" "a channel that never learns whether its calls were answered" "通道无从得知电话是否被接听"
        "The vendor cannot be asked how a call ended, it only calls back, and this server's address is not set or cannot be reached from the internet. Each call stays `sent`, whether it was answered or \
         not, and a call that nobody answers does not start the channel's `fallback`. Set `server.external_url` to an address that the vendor reaches, and enter the channel's `callback` address (`GET /api/v1/channels` shows it) in the \
         vendor's console."
        "将 `server.external_url` 设为厂商能访问的地址，并在厂商的控制台填写该通道的 `callback` 地址；否则无人接听时也不会启用 `fallback`。"
    IDLE_NAME "W110" "a label or annotation name that changes nothing" "不起作用的标签名或注解名"
        "`labels` and `annotations` add to what is hidden by default. The name is hidden already, is there twice, or another list of the block wins."
        "删除该名称：它已默认隐藏、重复，或被另一个列表覆盖。"
    UNUSED_ESCALATION "W111" "an escalation that no route uses" "没有路由使用的升级策略"
        "It is checked, and nothing of it ever happens. A route uses it by `escalation: NAME`, and hands it down to the routes below it."
        "在路由中写 `escalation: NAME` 使用它，或将它删除。"
    DOUBTFUL_ROTA "W112" "a rota or a person that nothing reaches" "轮值表或人员没有通知到"
        "Nobody is on call for some of the next 90 days, somebody is whom no step of an escalation reaches, or nothing uses the rota: `people: { oncall: NAME }` of a step and `mentions: { oncall: NAME }` do."
        "补齐无人值班的时段，让步骤能通知到值班人，或删除未使用的轮值表。"
    ENDED_MUTE "W113" "a mute that has ended" "已经结束的静音"
        "It mutes nothing any more. Remove it, so that the file says what happens; its history is in the version control."
        "删除这条静音：它已不起作用，历史在版本管理中。"
    DOUBTFUL_SECRET "W114" "a secret that is hardly what the platform issued" "不像平台签发的密钥"
        "It is in quotes, has white space around it, or has another shape than the vendor documents: a part of it may be missing, or it may be another credential. `watchfire check --online` asks the platform. \
         With `api_base` no shape is expected."
        "核对密钥：是否带有引号、空白，是否缺少一部分或填成了其他凭证；`watchfire check --online` 会向平台确认。"
    UNREACHED_CHANNEL "W115" "a channel that nothing leads to" "没有任何路由指向的通道"
        "No route, fallback, team, escalation, heartbeat, mute or direct path names it. What is sent with `?to=` or by the API may still reach it: write `disabled: false` on it where that is meant, \
         or `disabled: true` while it is not used. Where `legacy.prometheusalert` or `legacy.webhook_send` is set, nothing is said: they find channels by their robots' tokens."
        "让路由或 `fallback` 指向它；只通过 `?to=` 或 API 使用时写 `disabled: false`，暂不使用时写 `disabled: true`。"
    TWIN_CHANNELS "W116" "two channels that send the same to the same place" "两个通道把相同内容发到同一处"
        "They have one credential, the same settings, language and template, and one `to` names both, so every alert arrives there twice. Remove one of the two. Messages in two languages, \
         of two templates or to two rooms are no twins."
        "删除其中一个：同一条告警会在该处收到两次。"
    NEAR_MISS "W117" "a matcher that alerts nearly match" "与告警只差一点而不匹配的条件"
        "`watchfire check --online` compares the matchers of routes, mutes and heartbeats with the labels of the newest 50 events of the running server, and `--payloads DIR` with those of the bodies. No alert there has this \
         label, or this value of it, and a similar one is there. Correct the matcher; nothing is wrong where such alerts are still to come."
        "核对匹配条件的标签名和值（区分大小写）；如果这样的告警尚未出现过，则无需处理。"
}

/// What a code means, in any case (`e014`).
pub fn explain(code: &str) -> Option<&'static Code> {
    ALL.iter().find(|known| known.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_in_order_and_explained() {
        let mut sorted: Vec<_> = ALL.iter().map(|c| c.code).collect();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, ALL.iter().map(|c| c.code).collect::<Vec<_>>());
        for code in ALL {
            assert!(code.text.len() > 20 && code.text.ends_with('.') && !code.title.is_empty(), "{}", code.code);
            let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            assert!(is_chinese(code.title_zh) && !code.title_zh.ends_with('。'), "{}", code.code);
            assert!(is_chinese(code.help_zh) && code.help_zh.ends_with('。') && code.help_zh != code.title_zh, "{}", code.code);
        }
        let mut helps: Vec<_> = ALL.iter().map(|c| c.help_zh).collect();
        helps.sort_unstable();
        helps.dedup();
        assert_eq!(helps.len(), ALL.len(), "each says what to do about itself");
        assert_eq!(explain("e014").unwrap().code, UNKNOWN_CHANNEL);
        assert!(explain("E999").is_none());
    }
}

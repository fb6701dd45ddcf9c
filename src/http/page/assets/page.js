// What HTML cannot do: the reader's own zone, ages that go on, and copying. Without it every page says the same in its channel's zone.
(function () {
  'use strict';
  var doc = document, root = doc.documentElement, zh = root.lang.slice(0, 2) === 'zh';
  // The server's clock: ages stay right on a device whose clock is wrong.
  var skew = Date.parse(root.dataset.now) - Date.now();
  function now() { return Date.now() + skew; }
  function two(n) { return (n < 10 ? '0' : '') + n; }
  function age(ms) {
    var s = Math.max(0, Math.round(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
    if (zh) return s < 60 ? s + ' 秒' : m < 60 ? m + ' 分钟' : h < 24 ? h + ' 小时' : d + ' 天';
    return s < 60 ? s + ' s' : m < 60 ? m + ' min' : h < 24 ? h + ' h' : d + ' d';
  }
  function zone(at) {
    var off = -at.getTimezoneOffset(), abs = Math.abs(off);
    return 'UTC' + (off ? (off < 0 ? '-' : '+') + Math.floor(abs / 60) + (abs % 60 ? ':' + two(abs % 60) : '') : '');
  }
  function clock(at) {
    var today = new Date(now()), day = two(at.getMonth() + 1) + '-' + two(at.getDate()) + ' ', text = two(at.getHours()) + ':' + two(at.getMinutes());
    if (at.toDateString() === today.toDateString()) return text;
    return (at.getFullYear() === today.getFullYear() ? '' : at.getFullYear() + '-') + day + text;
  }
  doc.querySelectorAll('time[data-clock]').forEach(function (t) { t.textContent = clock(new Date(t.dateTime)); });
  doc.querySelectorAll('[data-zone]').forEach(function (z) { z.textContent = zone(new Date()); });
  function tick() {
    if (doc.hidden) return;
    doc.querySelectorAll('time[data-ago]').forEach(function (t) {
      var text = age(now() - Date.parse(t.dateTime));
      if (t.textContent !== text) t.textContent = text;
    });
  }
  tick();
  setInterval(tick, 1000);
  doc.addEventListener('visibilitychange', tick);

  if (!navigator.clipboard) return;
  doc.querySelectorAll('[data-copy]').forEach(function (code) {
    var button = doc.createElement('button');
    button.type = 'button';
    button.className = 'id';
    button.textContent = zh ? '复制' : 'Copy';
    button.addEventListener('click', function () {
      navigator.clipboard.writeText(code.textContent).then(function () {
        button.textContent = zh ? '已复制' : 'Copied';
        setTimeout(function () { button.textContent = zh ? '复制' : 'Copy'; }, 2000);
      });
    });
    code.after(' ', button);
  });
}());

// Watchfire console: what HTML and htmx cannot do. Everything here is a comfort; without it every page still works.
(function () {
  'use strict';
  var doc = document, root = doc.documentElement; root.classList.add('js');
  var zh = root.lang.slice(0, 2) === 'zh';
  // The server's clock, not the laptop's: ages stay right on a machine whose clock is wrong.
  var skew = Date.parse(root.dataset.now) - Date.now();
  function now() { return Date.now() + skew; }

  function age(ms) {
    var s = Math.max(0, Math.round(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
    if (zh) return s < 60 ? s + ' 秒' : m < 60 ? m + ' 分钟' : h < 24 ? h + ' 小时' : d + ' 天';
    return s < 60 ? s + ' s' : m < 60 ? m + ' min' : h < 24 ? h + ' h' : d + ' d';
  }
  function two(n) { return (n < 10 ? '0' : '') + n; }
  function left(ms) {
    var s = Math.max(0, Math.ceil(ms / 1000)), h = Math.floor(s / 3600);
    return (h ? h + ':' + two(Math.floor(s / 60) % 60) : Math.floor(s / 60)) + ':' + two(s % 60);
  }
  function tick() {
    if (doc.hidden) return;
    doc.querySelectorAll('time[data-ago]').forEach(function (t) { var v = age(now() - Date.parse(t.dateTime)); if (t.textContent !== v) t.textContent = v; });
    doc.querySelectorAll('time[data-due]').forEach(function (t) {
      t.textContent = left(Date.parse(t.dateTime) - now());
    });
  }
  setInterval(tick, 1000);
  doc.addEventListener('visibilitychange', tick);

  doc.addEventListener('click', function (e) {
    var c = e.target.closest('[data-copy]');
    if (c) copy(c.dataset.copy);
    // Light or dark at once; the cookie lets the server say so from the next page on. Without script the form posts.
    if (e.target.closest('[data-theme-switch]')) {
      e.preventDefault();
      var dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
      root.dataset.theme = dark ? 'light' : 'dark';
      doc.cookie = 'wf_theme=' + root.dataset.theme + ';path=/ui;max-age=31536000;SameSite=Lax';
    }
    // One menu at a time; a click elsewhere closes it.
    doc.querySelectorAll('details.menu[open]').forEach(function (d) { if (!d.contains(e.target)) d.open = false; });
  });
  // The second tap of a double one lands on what took the button's place, which is its opposite: just changed, it takes no press.
  doc.addEventListener('click', function (e) {
    var b = e.target.closest('button'), row = b && b.closest('[data-row]');
    if (row ? b.dataset.key === 'a' && Date.now() - row.changed < 800 : b && performance.now() < 800 && b.closest('form[action$="/unack"]')) {
      e.preventDefault(); e.stopPropagation();
      say(zh ? '按钮刚刚变化，请再按一次' : 'The button has just changed: press again');
    }
  }, true);
  doc.addEventListener('htmx:load', function (e) { e.target.changed = Date.now(); });
  // Live updates. A row that is under the pointer, has the focus or an open menu is replaced when it is left; a hidden tab hears nothing.
  var live = doc.getElementById('live');
  if (live && live.dataset.live && window.EventSource) (function () {
    var source = null, paused = false, held = {}, last = '', heard = 0, more = live.querySelector('[data-show-new]'), pause = live.querySelector('[data-key="p"]');
    function state(on, text) { live.classList.toggle('off', !on); live.querySelector('.state').textContent = text; }
    // What a finger touched last is `:hover` until it touches something else, which may be never.
    var over = matchMedia('(hover: hover)').matches ? ':hover' : ':active';
    function busy(el) { return el.matches(over) || el.contains(doc.activeElement) || el.querySelector('details[open]'); }
    function main(el) { var b = el.querySelector('[data-key="a"]'); return b ? b.textContent : ''; }
    function put(el, fresh) { el.replaceWith(fresh); fresh.changed = main(el) === main(fresh) ? el.changed : Date.now(); if (window.htmx) window.htmx.process(fresh); delete held[fresh.id]; }
    function take(html) {
      var box = doc.createElement('template'); box.innerHTML = html;
      var fresh = box.content.firstElementChild, el = fresh && doc.getElementById(fresh.id);
      if (!el) return;
      if (busy(el)) held[fresh.id] = fresh; else put(el, fresh);
    }
    setInterval(function () {
      Object.keys(held).forEach(function (id) { var el = doc.getElementById(id); if (el && !busy(el)) put(el, held[id]); });
      // A connection that died unnoticed says nothing more, of its end neither.
      if (source && Date.now() - heard > 30000) { state(false, live.dataset.lost); shut(); open(); }
    }, 500);
    // Heading, the line below it, and how many the title counts, which the tab's icon says, too.
    function head(text) {
      var lines = text.split('\n'), places = doc.querySelectorAll('[data-head]'); if (places.length !== 2) return;
      places[0].textContent = lines[0]; places[1].textContent = lines[1];
      doc.title = (lines[2] === '0' ? '' : '(' + lines[2] + ') ') + doc.title.replace(/^\(\d+\) /, '');
      var mark = doc.querySelector('link[rel=icon]'), fit = lines[2] === '0' ? mark.dataset.calm : mark.dataset.hot;
      if (mark.getAttribute('href') !== fit) mark.setAttribute('href', fit);
      doc.querySelectorAll('[data-waiting]').forEach(function (k) { k.hidden = lines[2] === '0'; k.firstChild.data = lines[2] > 999 ? '999+' : lines[2]; });
    }
    function more_by(n) {
      // The page of a new server has nothing that somebody reads: it becomes the first page by itself.
      if (n && !doc.querySelector('[data-head]')) { location.reload(); return; }
      more.hidden = !n; more.textContent = n + live.dataset.new;
    }
    function open() {
      if (source || paused || doc.hidden) return;
      heard = Date.now();
      source = new EventSource(last ? live.dataset.live.replace(/from=\d+/, 'from=' + last) : live.dataset.live);
      function on(name, f) { source.addEventListener(name, function (e) { if (e.lastEventId) last = e.lastEventId; heard = Date.now(); state(true, live.dataset.on); f(e.data); }); }
      on('row', take); on('beat', function () {}); on('new', function (n) { more_by(+n); }); on('head', head);
      on('reload', function () { shut(); state(false, live.dataset.old); more.hidden = false; more.textContent = live.dataset.reload; });
      source.onopen = function () { heard = Date.now(); state(true, live.dataset.on); };
      // What is no stream (a proxy's 502 while the server starts again, the form of a login) a browser asks for once only.
      source.onerror = function () { state(false, live.dataset.lost); if (source && source.readyState === 2) { shut(); setTimeout(open, 5000); } };
    }
    function shut() { if (source) source.close(); source = null; }
    pause.addEventListener('click', function () {
      paused = !paused; pause.setAttribute('aria-pressed', paused);
      if (paused) { shut(); state(false, live.dataset.off); } else open();
    });
    more.addEventListener('click', function () { location.reload(); });
    doc.addEventListener('visibilitychange', function () { if (doc.hidden) shut(); else open(); });
    open();
  }());

  // What an answer added to the toasts leaves after a while; errors stay until they are pressed.
  doc.addEventListener('htmx:load', function (e) {
    var t = e.target; if (!t.classList || !t.classList.contains('toast')) return;
    if (t.classList.contains('stays')) t.addEventListener('click', function () { t.remove(); });
    else setTimeout(function () { t.remove(); }, 6000);
  });

  function say(text, stays) {
    var box = doc.querySelector('.toasts'); if (!box) return;
    if (Array.prototype.some.call(box.children, function (t) { return t.textContent === text; })) return;
    var t = doc.createElement('p'); t.className = 'toast'; t.textContent = text; box.append(t);
    if (stays) t.addEventListener('click', function () { t.remove(); }); else setTimeout(function () { t.remove(); }, 4000);
  }

  // On plain http a page of another machine has no clipboard; then its text is copied as from a field.
  function copy(text) {
    function done(ok) { say(ok ? (zh ? '已复制' : 'Copied') : zh ? '无法复制，请手动选择文本' : 'Not copied: select the text by hand'); }
    if (navigator.clipboard) { navigator.clipboard.writeText(text).then(function () { done(true); }, function () { done(false); }); return; }
    var t = doc.createElement('textarea'), at = doc.activeElement; t.className = 'vh'; t.value = text; doc.body.append(t); t.select();
    var ok = doc.execCommand('copy'); t.remove(); if (at) at.focus({ preventScroll: true });
    done(ok);
  }

  // A press that Watchfire did not answer must not look like none; and what a proxy writes in its place, a 502 or a login, takes the place of no row.
  function lost() { say(zh ? 'Watchfire 没有应答，可能未执行：请刷新页面查看' : 'Watchfire did not answer, and may have done nothing: reload the page to see', true); }
  doc.addEventListener('htmx:sendError', lost);
  doc.addEventListener('htmx:beforeSwap', function (e) {
    var x = e.detail.xhr, own = x.status < 400 ? !/^\s*<(!doctype|html)/i.test(x.responseText) : x.getResponseHeader('HX-Reswap');
    if (!own) { e.detail.shouldSwap = false; lost(); }
  });
  doc.addEventListener('htmx:beforeRequest', function (e) {
    e.detail.xhr.late = setTimeout(function () { say(zh ? '10 秒仍无应答，继续等待' : 'No answer for 10 s; it is still waited for'); }, 10000);
  });
  doc.addEventListener('htmx:afterRequest', function (e) { clearTimeout(e.detail.xhr.late); });

  // What is half typed outlives the end of a session: this tab keeps it for the login after it, and for the same form only.
  function typed() {
    return Array.prototype.filter.call(doc.querySelectorAll('textarea[name]'), function (t) { return t.form; }).map(function (t) {
      var form = Array.prototype.map.call(t.form.querySelectorAll('input[type=hidden]'), function (i) { return i.value; });
      return { place: JSON.stringify([location.pathname, t.name, form]), field: t };
    });
  }
  function keep() {
    // The form of the login has no such text, and is what this waits for.
    var kept = {}, all = typed(); if (!all.length) return;
    all.forEach(function (one) { kept[one.place] = one.field.value; });
    try { sessionStorage.setItem('wf_typed', JSON.stringify(kept)); } catch (e) { /* it is lost, as without a script */ }
  }
  doc.addEventListener('submit', keep);
  doc.addEventListener('htmx:beforeOnLoad', function (e) { if (/^\/ui\/login\b/.test(e.detail.xhr.getResponseHeader('HX-Redirect'))) keep(); });
  window.addEventListener('load', function () {
    if (location.pathname === '/ui/login') return;
    var kept = null;
    try { kept = JSON.parse(sessionStorage.getItem('wf_typed')); sessionStorage.removeItem('wf_typed'); } catch (e) { /* nothing is kept */ }
    if (kept && /^https?:\/\/[^/]+\/ui\/login\b/.test(doc.referrer)) typed().forEach(function (one) {
      var t = one.field, text = kept[one.place]; if (text === undefined || text === t.value) return;
      t.value = text; t.dispatchEvent(new Event('input', { bubbles: true }));
    });
  });

  // Keys. Never while typing, never with a modifier.
  var rows = function () { return Array.prototype.slice.call(doc.querySelectorAll('[data-row]')); }, at = -1, chord = '';
  function pick(i) {
    var r = rows(); if (!r.length) { beside(i - at); return; }
    at = Math.max(0, Math.min(r.length - 1, i));
    r.forEach(function (x, n) { x.classList.toggle('sel', n === at); });
    var a = r[at].querySelector('a, button'); if (a) a.focus({ preventScroll: true });
    r[at].scrollIntoView({ block: 'nearest' });
  }
  // On the page of an incident they lead to the next and the previous one of the list from which this tab came.
  var INCIDENT = /^\/ui\/incidents\/\d+$/;
  doc.addEventListener('click', function (e) {
    if (!e.target.closest('[data-row] a[href^="/ui/incidents/"]')) return;
    var all = Array.prototype.map.call(doc.querySelectorAll('[data-row] a[href^="/ui/incidents/"]'), function (a) { return a.getAttribute('href'); });
    all = all.filter(function (path, n) { return INCIDENT.test(path) && all.indexOf(path) === n; });
    try { sessionStorage.setItem('wf_list', JSON.stringify(all)); } catch (e) { /* the keys lead nowhere */ }
  });
  function beside(step) {
    var all = [];
    try { all = JSON.parse(sessionStorage.getItem('wf_list')) || []; } catch (e) { /* nothing is kept */ }
    var here = all.indexOf(location.pathname), path = here < 0 ? '' : all[here + step];
    if (INCIDENT.test(path)) location.assign(path);
  }
  function go(sel) { var el = doc.querySelector(sel); if (el) el.click(); }
  // What a key means: of the row that has the focus, else of the one that is seen to be chosen, else of the page; never of the first row that there is.
  function act(target, key) {
    var row = target.closest && target.closest('[data-row]') || doc.querySelector('[data-row].sel');
    var el = (row || doc).querySelector('[data-key="' + key + '"]');
    if (el && (row || !el.closest('[data-row]'))) el.click();
  }
  // One switch turns the keys off, for who dictates (WCAG 2.1.4); the browser keeps it.
  var keys = doc.getElementById('keys'), off = false;
  try { off = localStorage.getItem('wf_keys') === 'off'; } catch (e) { /* nothing is kept: they are on */ }
  if (keys && keys.showModal) {
    var choice = keys.querySelector('[data-keys-on]'); choice.checked = !off;
    choice.addEventListener('change', function () {
      off = !choice.checked;
      try { localStorage.setItem('wf_keys', off ? 'off' : 'on'); } catch (e) { /* it lasts as long as the page */ }
    });
    doc.querySelectorAll('[data-keys]').forEach(function (b) { b.addEventListener('click', function () { keys.showModal(); }); });
  }
  doc.addEventListener('keydown', function (e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    var open = doc.querySelector('details.menu[open]');
    if (e.key === 'Escape' && open) { open.open = false; open.querySelector('summary').focus(); return; }
    if (off || keys && keys.open || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName)) return;
    if (chord === 'g') { chord = ''; go('[data-go="' + e.key + '"]'); return; }
    switch (e.key) {
      case '/': { var q = doc.querySelector('[data-search]'); if (q) { e.preventDefault(); q.focus(); } else go('[data-go="h"]'); break; }
      case 'j': pick(at + 1); break;
      case 'k': pick(at - 1); break;
      case 'g': chord = 'g'; setTimeout(function () { chord = ''; }, 1200); break;
      case 'a': case 's': case 'e': act(e.target, e.key); break;
      case 'p': go('[data-key="p"]'); break;
      case '.': go('[data-show-new]'); break;
      case '?': if (keys && keys.showModal && !keys.open) keys.showModal(); break;
    }
  });
}());

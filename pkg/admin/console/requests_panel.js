// The flight recorder: the last requests that failed, were retried or were slow, with their attempts.

import {get} from './api.js';
import {h, setText} from './dom.js';
import {clock, count, latency, plural} from './format.js';

const PAGE = 50;
const MOST = 1000;  // As many as rproxy keeps.
const PERIOD_MS = 4000;
const KINDS = [['', 'All of them'], ['failed', 'Failed'], ['retried', 'Retried'], ['slow', 'Slow']];

export function createRequestsPanel(store) {
    const kind = h('select', {'aria-label': 'Which requests', onchange: () => render()}, KINDS.map(([value, label]) => h('option', {value}, label)));
    const words = h('input', {type: 'search', placeholder: 'Path, id, server or reason', 'aria-label': 'Filter requests', oninput: () => render()});
    const shown = h('span', {class: 'muted', role: 'status'});
    const list = h('ol', {class: 'flights'});
    const none = h('p', {class: 'empty'}, 'Asking rproxy…');
    const problem = h('p', {class: 'note bad', hidden: true});
    let limit = PAGE;
    const more = h('button', {type: 'button', hidden: true, onclick: () => { limit += PAGE; render(); }}, 'Show older');
    const node = h('section', {class: 'panel', 'aria-labelledby': 'requests-title'},
        h('h2', {id: 'requests-title'}, 'Failed and slow requests'),
        h('div', {class: 'toolbar'}, words, kind, shown), problem, list, none, more);
    const open = new Set();
    let requests = null;
    let slowAbove = 1;
    let asking = false;
    let askedAt = -Infinity;
    let signature = '';

    const render = () => {
        if (!requests) {
            return;
        }
        const needle = words.value.trim().toLowerCase();
        const matching = requests.filter((one) => (!kind.value || one.why.includes(kind.value)) &&
            (!needle || requestText(one).toLowerCase().includes(needle)));
        setText(shown, matching.length === requests.length ? plural(requests.length, 'request') : `${count(matching.length)} of ${plural(requests.length, 'request')}`);
        none.hidden = matching.length > 0;
        setText(none, requests.length ? 'No request matches the filter.'
            : `None failed, was retried, or waited longer than ${latency(slowAbove)} for its answer.`);
        more.hidden = matching.length <= limit;
        const visible = matching.slice(0, limit);
        const now = visible.map(requestKey).join(' ');
        if (now !== signature) {
            signature = now;
            list.replaceChildren(...visible.map((one) => requestView(one, open)));
        }
    };
    const ask = async () => {
        asking = true;
        try {
            const answer = await get(`/api/v1/requests?limit=${MOST}`);
            ({requests, slow_above_seconds: slowAbove} = answer);
            problem.hidden = true;
        } catch (error) {
            problem.hidden = false;
            setText(problem, `Requests could not be read: ${error.message}.`);
        }
        asking = false;
        askedAt = performance.now();
        render();
    };
    const update = () => {
        if (!asking && !store.paused && performance.now() - askedAt > PERIOD_MS) {
            ask();
        }
    };
    return {node, update};
}

const requestKey = (one) => `${one.time} ${one.request_id}`;

const requestText = (one) => [one.method, one.host, one.path, one.pool, one.reason, one.status, one.client, one.request_id,
    one.trace_id, ...one.attempts.flatMap((attempt) => [attempt.backend, attempt.result])].filter(Boolean).join(' ');

const spoken = (word) => word.replaceAll('_', ' ');

function requestView(one, open) {
    const key = requestKey(one);
    const failed = one.why.includes('failed');
    const details = h('details', {open: open.has(key), ontoggle: () => (details.open ? open.add(key) : open.delete(key))},
        h('summary', {},
            h('time', {datetime: new Date(one.time * 1000).toISOString()}, clock(one.time)),
            h('span', {class: 'tag'}, String(one.status)),
            h('span', {class: 'said'}, `${one.method} ${one.host}${one.path}`),
            h('span', {class: 'muted'}, [one.reason ? spoken(one.reason) : one.why.join(', '), latency(one.duration_seconds)].join(' · '))),
        requestFacts(one));
    return h('li', {dataset: {level: failed ? 'bad' : 'warn'}}, details);
}

function requestFacts(one) {
    const facts = [
        ['Why it is here', one.why.join(', ')],
        ['Reason', one.reason ? spoken(one.reason) : null],
        ['Pool', one.pool],
        ['Attempts', attemptsView(one)],
        ['Timers that fired', one.timers.join(', ') || null],
        ['Until the answer', one.until_answer_seconds === null ? 'there was none' : latency(one.until_answer_seconds)],
        ['With servers', latency(one.backend_seconds)],
        ['Queued', one.queued_seconds ? latency(one.queued_seconds) : null],
        ['Bytes in, out', `${count(one.bytes_in)}, ${count(one.bytes_out)}`],
        ['Client', one.client],
        ['Request id', h('code', {}, one.request_id)],
        ['Trace id', one.trace_id ? h('code', {}, one.trace_id) : null],
        ['Generation', String(one.generation)],
    ];
    return h('dl', {class: 'facts'}, facts.filter(([, value]) => value !== null).map(
        ([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

function attemptsView(one) {
    if (!one.attempts.length) {
        return 'none: no server was asked';
    }
    const left = one.attempts_total - one.attempts.length;
    return h('ol', {class: 'attempts'}, one.attempts.map((attempt, i) => h('li', {},
        left > 0 && i === one.attempts.length - 1 ? `(${plural(left, 'attempt')} not shown) ` : null,
        `${attempt.backend}: ${spoken(attempt.result)}${attempt.status ? ` (${attempt.status})` : ''} after ${latency(attempt.duration_seconds)}`)));
}

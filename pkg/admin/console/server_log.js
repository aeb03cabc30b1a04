// The record: each server's connections, air time and crashes, requests that went wrong, then
// everything that happened.

import {h, setAttribute, setText, stateBadge} from './dom.js';
import {ago, clock, count, duration, plural, whyNot} from './format.js';
import {createRequestsPanel} from './requests_panel.js';
import {backendFilter} from './servers.js';
import {LiveTable} from './table.js';

const PAGE = 100;
const KINDS = [['', 'Everything'], ['backend_state', 'Servers'], ['pool', 'Pools'], ['config', 'Configuration'], ['process', 'Process']];

export function createServerLog({store}) {
    const filter = backendFilter(() => update(), false);
    const table = new LiveTable({
        label: 'Server log', key: (row) => row.key, sort: {id: 'crashed', descending: true}, columns: columns(store),
    });
    const requests = createRequestsPanel(store);
    const timeline = createTimeline(store);
    const update = () => {
        const {pools} = store.state;
        if (pools) {
            const {rows, kept} = filter.apply(pools);
            table.update(kept, rows.length ? 'No server matches the filter.' : 'No servers yet.');
        }
        requests.update();
        timeline.update();
    };
    return {
        title: 'Server log',
        node: h('div', {}, filter.node, table.node, requests.node, timeline.node),
        update,
    };
}

function columns(store) {
    return [
        {id: 'host', label: 'Host', heading: true, sort: (row) => row.backend.host, text: (row) => row.backend.host},
        {id: 'port', label: 'Port', class: 'num', sort: (row) => row.backend.port ?? null, text: (row) => (row.backend.port ? String(row.backend.port) : '–')},
        {id: 'pool', label: 'Pool', class: 'p3', sort: (row) => row.pool.name, text: (row) => row.pool.name},
        {id: 'state', label: 'State', sort: (row) => row.backend.state, create: (cell) => {
            const badge = stateBadge();
            cell.append(badge.node);
            return (row) => {
                badge.update(row.backend.state);
                setAttribute(cell, 'title', whyNot(row.backend, store.now()));
            };
        }},
        {id: 'connections', label: 'Connection count', class: 'num', descending: true, title: 'Connections opened since start; open now',
            sort: (row) => row.backend.connections_total,
            text: (row) => `${count(row.backend.connections_total)} (${count(row.backend.connections_active)} open)`},
        {id: 'air', label: 'Air time', class: 'num', descending: true, title: 'Time since it last came up',
            sort: (row) => row.backend.uptime_seconds ?? 0,
            text: (row) => (row.backend.up_since === null ? '–' : duration(row.backend.uptime_seconds))},
        {id: 'connected', label: 'Last connected', class: 'num', descending: true, title: 'When a client request last went to it',
            sort: (row) => row.backend.last_request, text: (row) => ago(row.backend.last_request, store.now())},
        {id: 'crashed', label: 'Last crashed', descending: true, sort: (row) => row.backend.last_crash, create: (cell) => (row) => {
            const {last_crash: at, last_crash_reason: reason, crashes} = row.backend;
            setText(cell, typeof at === 'number'
                ? `${ago(at, store.now())}${reason ? ` · ${reason}` : ''}${crashes > 1 ? ` · ${count(crashes)} times` : ''}` : 'never');
        }},
    ];
}

function createTimeline(store) {
    const kind = h('select', {'aria-label': 'Kind', onchange: () => update()}, KINDS.map(([value, label]) => h('option', {value}, label)));
    const words = h('input', {type: 'search', placeholder: 'Server, pool or words', 'aria-label': 'Filter events', oninput: () => update()});
    const shown = h('span', {class: 'muted', role: 'status'});
    const list = h('ol', {class: 'timeline'});
    const none = h('p', {class: 'empty', hidden: true});
    const problem = h('p', {class: 'note bad', hidden: true});
    let limit = PAGE;
    const more = h('button', {type: 'button', onclick: () => { limit += PAGE; update(); }}, 'Show older');
    const node = h('section', {class: 'panel', 'aria-labelledby': 'timeline-title'},
        h('h2', {id: 'timeline-title'}, 'Timeline'),
        h('div', {class: 'toolbar'}, words, kind, shown), problem, list, none, more);
    let signature = '';

    const update = () => {
        const {events, eventsError} = store.state;
        problem.hidden = !eventsError;
        setText(problem, `Events could not be read: ${eventsError?.message ?? ''}.`);
        const needle = words.value.trim().toLowerCase();
        const matching = events.filter((event) => (!kind.value || event.kind === kind.value) &&
            (!needle || eventText(event).toLowerCase().includes(needle)));
        const visible = matching.slice(-limit).reverse();
        setText(shown, matching.length === events.length ? plural(events.length, 'event') : `${count(matching.length)} of ${plural(events.length, 'event')}`);
        none.hidden = matching.length > 0;
        setText(none, events.length ? 'No event matches the filter.' : 'Nothing happened yet.');
        more.hidden = matching.length <= limit;
        const now = `${visible[0]?.id} ${visible.length} ${kind.value} ${needle}`;
        if (now !== signature) {
            signature = now;
            list.replaceChildren(...visible.map(eventView));
        }
    };
    return {node, update};
}

const eventText = (event) => [event.message, event.pool, event.backend, event.from, event.to, event.reason, event.result]
    .filter(Boolean).join(' ');

const KIND_NAMES = {backend_state: 'server', pool: 'pool', config: 'config', process: 'process'};

function eventView(event) {
    const level = event.to === 'down' || event.to === 'ejected' || event.result === 'rejected' || event.result === 'rolled_back'
        ? 'bad' : event.to === 'up' || event.result === 'applied' ? 'good' : null;
    const change = event.from && event.to
        ? h('span', {class: 'change'}, stateBadge(event.from).node, h('span', {'aria-label': 'to'}, ' → '), stateBadge(event.to).node) : null;
    const subject = [event.pool, event.backend].filter(Boolean).join(' / ');
    return h('li', {dataset: level ? {level} : {}},
        h('time', {datetime: new Date(event.at * 1000).toISOString()}, clock(event.at)),
        h('span', {class: 'tag'}, KIND_NAMES[event.kind] ?? event.kind),
        h('span', {class: 'said'}, subject ? [h('strong', {}, subject), ' '] : null, event.message,
            event.reason && !event.message.includes(event.reason) ? ` (${event.reason})` : ''),
        change);
}

// What happens now: the totals, then each pool with its backends.

import {h, setAttribute, setText, stateBadge, svg} from './dom.js';
import {NONE, ago, count, duration, latency, plural, rate, ratio, whyNot} from './format.js';
import {sparkline} from './spark.js';
import {HISTORY, backendKey} from './store.js';

const SHOWN_PER_POOL = 24;  // A larger pool shows those in trouble and the busiest; Servers has all.
const STATES = ['up', 'unknown', 'draining', 'disabled', 'ejected', 'down'];
const TROUBLE = {down: 0, ejected: 1, unknown: 2, draining: 3, disabled: 4, up: 5};

const COLUMNS = [
    ['Server'], ['State'], ['Requests', 'num'], ['', 'chart p3', 'Request rate of the last two minutes'],
    ['In flight', 'num p3'], ['Errors', 'num'], ['Latency', 'num'],
    ['', 'chart p3', 'Latency of the last two minutes'], ['Up for', 'num p2'], ['Weight', 'num p3'],
];

export function createDashboard({store}) {
    const tiles = {
        rate: tile('Requests', true), errors: tile('Errors'), flight: tile('In flight'), backends: tile('Servers up'),
        clients: tile('Client connections'), config: tile('Configuration'),
    };
    const pools = h('div');
    const views = new Map();
    const empty = h('p', {class: 'empty', hidden: true}, 'No pool is configured, so every request gets 503. ',
        h('a', {href: '#/servers?add=1'}, 'Name the first servers'), '.');
    const node = h('div', {},
        h('div', {class: 'tiles'}, Object.values(tiles).map((one) => one.node)), pools, empty);

    const updateTiles = ({status, pools: all, config}) => {
        const total = store.total();
        const backends = all.flatMap((pool) => pool.backends);
        const up = backends.filter((backend) => backend.state === 'up').length;
        const requests = total.requestRate();
        const errors = total.errorRate();
        tiles.rate.set(requests === null ? NONE : `${rate(requests)}/s`, `${count(status.requests_total)} since start`);
        tiles.rate.draw(total.requestRates());
        tiles.errors.set(ratio(errors, requests), errors === null ? '' : `${rate(errors)}/s`, errors > 0 ? 'bad' : '');
        tiles.flight.set(count(status.requests_active), 'requests');
        tiles.backends.set(`${count(up)} of ${count(backends.length)}`, plural(all.length, 'pool'),
                           up < backends.length ? 'warn' : '');
        const clients = (status.listeners ?? []).reduce((sum, listener) => sum + listener.connections_active, 0);
        tiles.clients.set(count(clients), plural(status.listeners?.length ?? 0, 'listener'));
        tiles.config.set(`Generation ${status.generation}`,
                         config?.applied ? `applied ${ago(config.applied, store.now())}` : 'not applied yet');
    };

    return {
        title: 'Dashboard',
        node,
        update() {
            const {state} = store;
            if (!state.status || !state.pools) {
                return;
            }
            updateTiles(state);
            empty.hidden = state.pools.length > 0;
            const wanted = new Set(state.pools.map((pool) => pool.name));
            for (const [name, view] of views) {
                if (!wanted.has(name)) {
                    view.node.remove();
                    views.delete(name);
                }
            }
            for (const pool of state.pools) {
                let view = views.get(pool.name);
                if (!view) {
                    view = poolView(store, pool);
                    views.set(pool.name, view);
                    pools.append(view.node);
                }
                view.update(pool);
            }
        },
    };
}

function tile(label, withChart) {
    const value = h('span', {class: 'value'}, NONE);
    const detail = h('span', {class: 'muted'});
    const chart = withChart ? sparkline(HISTORY) : null;
    const node = h('div', {class: 'tile'}, h('span', {class: 'label'}, label), value, detail, chart?.node);
    return {
        node,
        set(text, small, level) {
            setText(value, text);
            setText(detail, small ?? '');
            setAttribute(node, 'data-level', level || null);
        },
        draw: (values) => chart.update(values),
    };
}

function poolView(store, first) {
    const id = `pool-${first.name}`;
    const facts = h('p', {class: 'muted facts'});
    const bar = stateBar();
    const body = h('tbody');
    const rows = new Map();
    const table = h('table', {},
        h('caption', {class: 'sr'}, `Servers of pool ${first.name}`),
        h('thead', {}, h('tr', {}, COLUMNS.map(([label, classes, spoken]) => h('th', {scope: 'col', class: classes},
            label || h('span', {class: 'sr'}, spoken))))), body);
    const box = h('div', {class: 'table-box free', role: 'region', tabindex: '0', 'aria-label': `Servers of pool ${first.name}`}, table);
    const none = h('p', {class: 'empty', hidden: true}, 'This pool has no servers, so its requests get 503. ',
        h('a', {href: `#/servers?pool=${encodeURIComponent(first.name)}&add=1`}, 'Name some'), '.');
    const more = h('p', {class: 'more'}, h('a', {href: `#/servers?pool=${encodeURIComponent(first.name)}`}));
    const node = h('section', {class: 'panel pool', 'aria-labelledby': id},
        h('div', {class: 'head'}, h('h2', {id}, first.name), facts), bar.node, box, none, more);

    const update = (pool) => {
        const rates = new Map(pool.backends.map((backend) => [backend, store.history(backendKey(pool, backend)).requestRate()]));
        const known = [...rates.values()].filter((value) => value !== null);
        const total = known.length ? known.reduce((sum, value) => sum + value, 0) : null;
        setText(facts, `${pool.method}${pool.selection === 'request' ? '' : `, chosen per ${pool.selection}`} · ` +
                       `${count(pool.backends_up)} of ${plural(pool.backends.length, 'server')} up` +
                       `${total === null ? '' : ` · ${rate(total)} req/s`}` +
                       `${pool.fail_open ? ' · trying servers that are down' : ''}`);
        bar.update(pool.backends);
        const large = pool.backends.length > SHOWN_PER_POOL;
        const shown = large
            ? [...pool.backends].sort((a, b) => TROUBLE[a.state] - TROUBLE[b.state] || rates.get(b) - rates.get(a)).slice(0, SHOWN_PER_POOL)
            : pool.backends;
        box.hidden = pool.backends.length === 0;
        none.hidden = !box.hidden;
        more.hidden = !large;
        setText(more.firstChild, `${SHOWN_PER_POOL} shown, those in trouble first. See all ${count(pool.backends.length)}.`);
        place(body, rows, shown, (backend) => backend.name, () => dashboardRow(store, pool));
    };
    return {node, update};
}

/** Puts the rows of `items` into `body` in their order, making and dropping rows as needed. */
function place(body, rows, items, keyOf, create) {
    const wanted = new Set(items.map(keyOf));
    for (const [key, row] of rows) {
        if (!wanted.has(key)) {
            row.node.remove();
            rows.delete(key);
        }
    }
    items.forEach((item, i) => {
        const key = keyOf(item);
        let row = rows.get(key);
        if (!row) {
            row = create();
            rows.set(key, row);
        }
        row.update(item);
        if (body.children[i] !== row.node) {
            body.insertBefore(row.node, body.children[i] ?? null);
        }
    });
}

function dashboardRow(store, pool) {
    const link = h('a');
    const badge = stateBadge();
    const requests = sparkline(HISTORY);
    const latencies = sparkline(HISTORY);
    const cells = COLUMNS.map(([, classes], i) => h(i === 0 ? 'th' : 'td', {class: classes, scope: i === 0 ? 'row' : null}));
    cells[0].append(link);
    cells[1].append(badge.node);
    cells[3].append(requests.node);
    cells[7].append(latencies.node);
    const share = h('span');
    const errors = h('span', {class: 'p2'});
    cells[5].append(errors, share);
    const node = h('tr', {}, cells);
    const update = (backend) => {
        const history = store.history(backendKey(pool, backend));
        const requestRate = history.requestRate();
        const errorRate = history.errorRate();
        setText(link, backend.name);
        setAttribute(link, 'href', `#/servers?pool=${encodeURIComponent(pool.name)}&q=${encodeURIComponent(backend.name)}`);
        badge.update(backend.state);
        setText(cells[2], requestRate === null ? NONE : `${rate(requestRate)}/s`);
        requests.update(history.requestRates());
        setText(cells[4], count(backend.requests_active));
        setText(errors, errorRate > 0 ? `${rate(errorRate)}/s · ` : '');
        setText(share, errorRate > 0 ? ratio(errorRate, requestRate) : errorRate === null ? NONE : '0');
        cells[5].classList.toggle('bad', errorRate > 0);
        setText(cells[6], latency(backend.latency_ewma_seconds));
        latencies.update(history.recentLatencies());
        setAttribute(cells[8], 'title', whyNot(backend, store.now()));
        setText(cells[8], backend.state === 'up' ? duration(backend.uptime_seconds)
            : backend.held_until ? `held ${duration(backend.held_until - store.now())}`
            : backend.last_crash ? `crashed ${ago(backend.last_crash, store.now())}` : NONE);
        setText(cells[9], backend.effective_weight === backend.weight ? String(backend.weight)
            : `${Number(backend.effective_weight.toFixed(1))} of ${backend.weight}`);
    };
    return {node, update};
}

/** How many backends are in each state, as one line of segments with a legend that has the numbers. */
function stateBar() {
    const bar = svg('svg', {class: 'state-bar', viewBox: '0 0 100 6', preserveAspectRatio: 'none', 'aria-hidden': 'true'});
    const legend = h('ul', {class: 'legend', 'aria-label': 'Servers by state'});
    let shown = '';
    const update = (backends) => {
        const counts = STATES.map((state) => backends.filter((backend) => backend.state === state).length);
        const signature = counts.join();
        if (signature === shown) {
            return;
        }
        shown = signature;
        let x = 0;
        bar.replaceChildren(...STATES.map((state, i) => {
            const width = backends.length ? (100 * counts[i]) / backends.length : 0;
            const segment = svg('rect', {x, y: 0, width, height: 6, 'data-state': state});
            x += width;
            return segment;
        }));
        legend.replaceChildren(...STATES.filter((_, i) => counts[i]).map((state) =>
            h('li', {}, stateBadge(state).node, ` ${count(counts[STATES.indexOf(state)])}`)));
    };
    return {node: h('div', {class: 'states'}, bar, legend), update};
}

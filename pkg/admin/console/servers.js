// Every backend, and the edited copy of the configuration that would change them.

import {announce, h, setAttribute, setText, stateBadge} from './dom.js';
import {DraftPanel} from './draft_panel.js';
import {NONE, ago, clock, count, duration, latency, plural, rate} from './format.js';
import {backendKey, sumErrors, sumRequests} from './store.js';
import {LiveTable} from './table.js';
import {addBackend, listBackends, removeBackend, setBackendField} from './yaml_edit.js';

const STATES = ['down', 'ejected', 'unknown', 'draining', 'disabled', 'up'];  // Worst first.
const MAX_WEIGHT = 1000;

export function createServers({store, draft}) {
    const screen = new Servers(store, draft);
    return {title: 'Servers', node: screen.node, update: () => screen.update(), enter: (query) => screen.enter(query)};
}

/** Rows of the table: {key, pool, backend}. */
export function allBackends(pools) {
    return pools.flatMap((pool) => pool.backends.map((backend) => ({key: backendKey(pool, backend), pool, backend})));
}

/** Selects and a search field over rows of backends, shared by two screens. */
export function backendFilter(onchange, withState) {
    const text = h('input', {type: 'search', placeholder: 'Name or address', 'aria-label': 'Filter by name or address', oninput: onchange});
    const pool = h('select', {'aria-label': 'Pool', onchange}, h('option', {value: ''}, 'All pools'));
    const state = h('select', {'aria-label': 'State', onchange}, h('option', {value: ''}, 'All states'),
        STATES.map((name) => h('option', {value: name}, name)));
    const shown = h('span', {class: 'muted', role: 'status'});
    const node = h('div', {class: 'toolbar'}, text, pool, withState ? state : null, shown);
    const names = () => [...pool.options].slice(1).map((option) => option.value);
    return {
        node, text, pool, state,
        apply(pools) {
            const wanted = pools.map((one) => one.name);
            if (names().join('\n') !== wanted.join('\n')) {
                const chosen = pool.value;
                pool.replaceChildren(pool.options[0], ...wanted.map((name) => h('option', {value: name}, name)));
                pool.value = wanted.includes(chosen) ? chosen : '';
            }
            const needle = text.value.trim().toLowerCase();
            const rows = allBackends(pools);
            const kept = rows.filter(({pool: own, backend}) =>
                (!pool.value || own.name === pool.value) && (!state.value || backend.state === state.value) &&
                (!needle || backend.name.toLowerCase().includes(needle) || backend.address.toLowerCase().includes(needle)));
            setText(shown, kept.length === rows.length ? plural(rows.length, 'server')
                : `${count(kept.length)} of ${plural(rows.length, 'server')}`);
            return {rows, kept};
        },
    };
}

class Servers {
    #store;
    #draft;
    #filter;
    #table;
    #panel;
    #add;
    #dialog;
    #wanted = new Map();  // What the edited copy says of a backend: key → {weight, state, …}.
    #marks = new Map();   // How that differs from what runs: key → words.
    #marked = null;
    #query = null;        // Of the address, kept until there are pools to apply it to.
    #problem = h('p', {class: 'note bad', role: 'alert', hidden: true});
    #error = h('p', {class: 'note bad', hidden: true});

    constructor(store, draft) {
        this.#store = store;
        this.#draft = draft;
        this.#filter = backendFilter(() => this.update(), true);
        this.#table = new LiveTable({
            label: 'Servers', key: (row) => row.key, sort: {id: 'name', descending: false}, columns: this.#columns(),
        });
        this.#panel = new DraftPanel(draft, store);
        this.#add = this.#makeAdd();
        this.#dialog = backendDialog(this);
        this.node = h('div', {}, this.#filter.node, this.#table.node, this.#add.node, this.#problem, this.#error,
            this.#panel.node, this.#dialog.node);
        draft.subscribe(() => this.update());
    }

    enter(query) {
        this.#query = query;
        this.update();
    }

    #follow(query) {
        if (query.has('add')) {
            this.#add.open(query.get('pool'));
        }
        if (query.has('text')) {
            this.#panel.openText();
            this.#panel.review();
        }
    }

    #showRows(pools) {
        const {rows, kept} = this.#filter.apply(pools);
        this.#table.update(kept, rows.length ? 'No server matches the filter.' : 'No servers yet. Add the first one below.');
        this.#add.update(pools);
    }

    update() {
        const {pools, config, configError} = this.#store.state;
        if (config) {
            this.#draft.follow(config);
        }
        this.#error.hidden = !configError || Boolean(config);
        setText(this.#error, `The configuration could not be read, so nothing can be edited: ${configError?.message ?? ''}.`);
        this.#markRows();
        this.#panel.update();
        if (!pools) {
            return;
        }
        // What comes by a link is done once; the rows are laid out before the page scrolls to a place.
        const query = this.#query;
        this.#query = null;
        if (query?.has('q') || query?.has('pool')) {
            this.#filter.apply(pools);
            this.#filter.text.value = query.get('q') ?? '';
            this.#filter.pool.value = query.get('pool') ?? '';
        }
        this.#showRows(pools);
        this.#dialog.update();
        if (query) {
            this.#follow(query);
        }
    }

    get store() { return this.#store; }
    get draft() { return this.#draft; }
    markOf(row) { return this.#marks.get(row.key) ?? ''; }

    /** Runs one edit of the copy; tells what happened, also when it cannot be done. */
    edit(done, change) {
        if (!this.#draft.ready) {
            return false;
        }
        try {
            this.#draft.set(change(this.#draft.text));
        } catch (error) {
            setText(this.#problem, `Not done: ${error.message}.`);
            this.#problem.hidden = false;
            this.#problem.scrollIntoView({block: 'nearest'});
            this.#panel.openText();
            return false;
        }
        this.#problem.hidden = true;
        announce(`${done} Not applied yet.`);
        return true;
    }

    setState(row, state) {
        return this.edit(state ? `${row.backend.name} would ${state === 'drain' ? 'drain' : 'be disabled'}.`
                               : `${row.backend.name} would take traffic.`,
                         (text) => setBackendField(text, row.pool.name, row.backend, 'state', state));
    }

    setWeight(row, weight) {
        return this.edit(`${row.backend.name} would have weight ${weight}.`,
                         (text) => setBackendField(text, row.pool.name, row.backend, 'weight', weight === 1 ? null : weight));
    }

    remove(row) {
        return this.edit(`${row.backend.name} would be removed.`, (text) => removeBackend(text, row.pool.name, row.backend));
    }

    /** What the copy says of a backend, or null where it does not name it. */
    drafted(row) { return this.#wanted.get(row.key) ?? null; }

    #markRows() {
        const {pools} = this.#store.state;
        if (!pools || !this.#draft.ready || this.#marked?.text === this.#draft.text && this.#marked?.pools === pools) {
            return;
        }
        this.#marked = {text: this.#draft.text, pools};
        this.#marks.clear();
        this.#wanted.clear();
        for (const pool of pools) {
            const after = index(listed(this.#draft.text, pool.name));
            const before = this.#draft.pending ? index(listed(this.#draft.running.text, pool.name)) : after;
            for (const backend of pool.backends) {
                const wanted = lookup(after, backend);
                this.#wanted.set(backendKey(pool, backend), wanted);
                const mark = difference(lookup(before, backend), wanted);
                if (mark) {
                    this.#marks.set(backendKey(pool, backend), mark);
                }
            }
        }
    }

    #columns() {
        const history = (row) => this.#store.history(row.key);
        return [
            {id: 'name', label: 'Server', heading: true, sort: (row) => row.backend.name, create: (cell) => {
                const name = h('span', {class: 'name'});
                const mark = h('span', {class: 'mark'});
                cell.append(name, mark);
                return (row) => {
                    setText(name, row.backend.name);
                    setAttribute(name, 'title', row.backend.address === row.backend.name ? null : row.backend.address);
                    setText(mark, this.markOf(row));
                };
            }},
            {id: 'pool', label: 'Pool', class: 'p3', sort: (row) => row.pool.name, text: (row) => row.pool.name},
            {id: 'state', label: 'State', sort: (row) => STATES.indexOf(row.backend.state), create: (cell) => {
                const badge = stateBadge();
                cell.append(badge.node);
                return (row) => badge.update(row.backend.state);
            }},
            {id: 'weight', label: 'Weight', class: 'num p2', descending: true, sort: (row) => row.backend.weight, text: (row) => count(row.backend.weight)},
            {id: 'rate', label: 'Requests/s', class: 'num', descending: true, sort: (row) => history(row).requestRate(), text: (row) => rate(history(row).requestRate())},
            {id: 'flight', label: 'In flight', class: 'num p3', descending: true, sort: (row) => row.backend.requests_active, text: (row) => count(row.backend.requests_active)},
            {id: 'errors', label: 'Errors/s', class: 'num p2', descending: true, sort: (row) => history(row).errorRate(), create: (cell) => (row) => {
                const value = history(row).errorRate();
                setText(cell, rate(value));
                cell.classList.toggle('bad', value > 0);
            }},
            {id: 'latency', label: 'Latency', class: 'num p2', descending: true, sort: (row) => row.backend.latency_ewma_seconds ?? null, text: (row) => latency(row.backend.latency_ewma_seconds)},
            {id: 'edit', label: 'Change', class: 'act', create: (cell, first) => {
                let current = first;
                const drain = h('button', {type: 'button', class: 'small wide', onclick: () => this.#toggleDrain(current)});
                const edit = h('button', {type: 'button', class: 'small', onclick: () => this.#dialog.open(current)}, 'Edit…');
                cell.append(drain, ' ', edit);
                return (row) => {
                    current = row;
                    const out = this.#isOut(row);
                    setText(drain, out ? 'Resume' : 'Drain');
                    setAttribute(drain, 'aria-label', `${out ? 'Resume' : 'Drain'} ${row.backend.name}`);
                    setAttribute(edit, 'aria-label', `Edit ${row.backend.name}`);
                };
            }},
        ];
    }

    /** Whether the edited copy takes the backend out of use; what runs decides where the copy cannot be read. */
    #isOut(row) {
        const wanted = this.drafted(row);
        return wanted ? wanted.state !== 'up' : ['draining', 'disabled'].includes(row.backend.state);
    }

    #toggleDrain(row) {
        this.setState(row, this.#isOut(row) ? null : 'drain');
    }

    #makeAdd() {
        const pool = h('select', {required: true});
        const address = h('input', {type: 'text', required: true, placeholder: '10.0.0.3:8080', spellcheck: 'false', autocapitalize: 'off', size: '28'});
        const weight = h('input', {type: 'number', min: '0', max: String(MAX_WEIGHT), value: '1', size: '5'});
        const form = h('form', {class: 'row', onsubmit: (event) => {
            event.preventDefault();
            // People paste lists, with any separators.
            for (const one of address.value.split(/[\s,;]+/).filter(Boolean)) {
                const fields = {address: one, ...(weight.value !== '' && weight.value !== '1' ? {weight: Number(weight.value)} : {})};
                if (!this.edit(`${one} would be added.`, (text) => addBackend(text, pool.value || 'default', fields))) {
                    return;
                }
            }
            address.value = '';
            address.focus();
        }}, h('label', {}, 'Pool', pool), h('label', {class: 'grow'}, 'Addresses (host:port, several with commas)', address),
            h('label', {}, 'Weight', weight), h('button', {type: 'submit', class: 'primary'}, 'Add'));
        const node = h('section', {class: 'panel', 'aria-labelledby': 'add-title'}, h('h2', {id: 'add-title'}, 'Add servers'), form);
        let names = null;
        const update = (pools) => {
            const list = pools.map((one) => one.name);
            if (names !== list.join('\n')) {
                names = list.join('\n');
                const chosen = pool.value;
                pool.replaceChildren(...(list.length ? list : ['default']).map((name) => h('option', {value: name}, name)));
                pool.value = list.includes(chosen) ? chosen : pool.options[0].value;
            }
        };
        return {node, update, open: (name) => {
            if (name) {
                pool.value = name;
            }
            node.scrollIntoView({block: 'center'});
            address.focus({preventScroll: true});
        }};
    }
}

function listed(text, pool) {
    try {
        return listBackends(text, pool);
    } catch {
        return null;  // Written in a way that only a person edits: then no row is marked.
    }
}

const index = (list) => list && {
    names: new Map(list.map((item) => [item.name, item])), addresses: new Map(list.map((item) => [item.address, item])),
};

const lookup = (indexed, backend) =>
    (indexed ? indexed.names.get(backend.name) ?? indexed.addresses.get(backend.address) ?? null : undefined);

function difference(before, after) {
    if (!before || after === undefined) {
        return '';
    }
    if (after === null) {
        return 'to remove';
    }
    const words = [];
    if (before.state !== after.state) {
        words.push({up: 'to resume', drain: 'to drain', disabled: 'to disable'}[after.state] ?? `to be ${after.state}`);
    }
    if (before.weight !== after.weight) {
        words.push(`weight → ${after.weight}`);
    }
    return words.join(', ');
}

/** One backend: what is known of it, and what can be changed in the copy. */
function backendDialog(screen) {
    let row = null;
    const title = h('h2', {id: 'backend-title'});
    const facts = h('dl', {class: 'facts'});
    const weight = h('input', {type: 'number', min: '0', max: String(MAX_WEIGHT), size: '6'});
    const states = [['up', 'Up'], ['drain', 'Drain: finish what runs, take nothing new'], ['disabled', 'Disabled']];
    const radios = states.map(([value, label]) => h('label', {class: 'radio'},
        h('input', {type: 'radio', name: 'wanted', value}), label));
    const node = h('dialog', {'aria-labelledby': 'backend-title'});
    const save = () => {
        const wanted = radios.map((label) => label.firstChild).find((radio) => radio.checked)?.value;
        const now = screen.drafted(row);
        let done = true;
        if (wanted && wanted !== (now?.state ?? 'up')) {
            done = screen.setState(row, wanted === 'up' ? null : wanted);
        }
        if (done && weight.value !== '' && Number(weight.value) !== (now?.weight ?? row.backend.weight)) {
            done = screen.setWeight(row, Number(weight.value));
        }
        node.close();
    };
    node.append(h('form', {onsubmit: (event) => { event.preventDefault(); save(); }},
        title, facts,
        h('fieldset', {}, h('legend', {}, 'Wanted state'), radios),
        h('label', {}, `Weight (0 to ${MAX_WEIGHT})`, weight),
        h('div', {class: 'row end'},
            h('button', {type: 'button', class: 'danger', onclick: () => { screen.remove(row); node.close(); }}, 'Remove'),
            h('span', {class: 'grow'}),
            h('button', {type: 'button', onclick: () => node.close()}, 'Cancel'),
            h('button', {type: 'submit', class: 'primary'}, 'Save to the copy'))));
    const update = () => {
        if (!node.open) {
            return;
        }
        const pool = screen.store.state.pools.find((one) => one.name === row.pool.name);
        const backend = pool?.backends.find((one) => one.name === row.backend.name);
        if (backend) {
            row = {...row, pool, backend};
        }
        describe(facts, row.backend, screen.store.now());
    };
    const open = (current) => {
        row = current;
        setText(title, row.backend.name);
        const now = screen.drafted(row) ?? {state: 'up', weight: row.backend.weight};
        for (const label of radios) {
            label.firstChild.checked = label.firstChild.value === now.state;
        }
        weight.value = String(now.weight);
        node.showModal();
        update();
    };
    return {node, open, update};
}

function describe(list, backend, now) {
    const check = backend.last_health_check;
    const facts = [
        ['Address', backend.address],
        ['State', backend.state],
        ['Up for', backend.state === 'up' ? `${duration(backend.uptime_seconds)}, since ${clock(backend.up_since)}` : NONE],
        ['Connections', `${count(backend.connections_active)} open, ${count(backend.connections_idle)} of them idle; ${count(backend.connections_total)} since start`],
        ['Requests', `${count(sumRequests(backend))}, of them ${count(sumErrors(backend))} errors`],
        ['Last request', ago(backend.last_request, now)],
        ['Last crash', backend.last_crash ? `${ago(backend.last_crash, now)} (${backend.last_crash_reason}); ${plural(backend.crashes, 'crash', 'crashes')} since start` : 'never'],
        ['Last check', check ? `${check.ok ? 'passed' : 'failed'} ${ago(check.at, now)}: ${check.detail}` : 'none yet'],
    ];
    if (list.childElementCount !== facts.length * 2) {
        list.replaceChildren(...facts.flatMap(([term]) => [h('dt', {}, term), h('dd')]));
    }
    facts.forEach(([, value], i) => setText(list.children[2 * i + 1], value));
}

// The frame of the console: which screen is shown, the state of the connection, theme and alerts.

import {Banners, bannersFor} from './banners.js';
import {createConfiguration} from './configuration.js';
import {createDashboard} from './dashboard.js';
import {announce, h, setAttribute, setText} from './dom.js';
import {Draft} from './draft.js';
import {duration} from './format.js';
import {createServerLog} from './server_log.js';
import {createServers} from './servers.js';
import {Store} from './store.js';

const store = new Store();
const context = {store, draft: new Draft()};
const SCREENS = {
    dashboard: createDashboard, servers: createServers, configuration: createConfiguration, log: createServerLog,
};
const made = new Map();
const main = document.getElementById('main');
const banners = new Banners(document.getElementById('banners'));
let current = null;

/** `#/servers?pool=web` is {name: 'servers', query}. Anything unknown is the dashboard. */
function address() {
    const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
    return {name: path in SCREENS ? path : 'dashboard', query: new URLSearchParams(query ?? '')};
}

function show(byPerson) {
    const {name, query} = address();
    if (!made.has(name)) {
        const screen = SCREENS[name](context);
        const loading = h('div', {class: 'loading'}, h('div', {class: 'skeleton', 'aria-hidden': 'true'}, h('i'), h('i'), h('i')),
            h('p', {class: 'muted', role: 'status'}));
        made.set(name, {...screen, loading, heading: h('h1', {tabindex: '-1'}, screen.title)});
    }
    current = made.get(name);
    main.replaceChildren(current.heading, current.loading, current.node);
    document.title = `${current.title} · rproxy`;
    for (const link of document.querySelectorAll('nav a')) {
        setAttribute(link, 'aria-current', link.getAttribute('href') === `#/${name}` ? 'page' : null);
    }
    update();
    if (byPerson) {
        window.scrollTo(0, 0);
        current.heading.focus({preventScroll: true});
    }
    current.enter?.(query);
}

function update() {
    const {state} = store;
    const loaded = Boolean(state.status && state.pools);
    current.loading.hidden = loaded;
    current.node.hidden = !loaded;
    if (!loaded) {
        setText(current.loading.lastChild, state.error
            ? `rproxy does not answer: ${state.error.message}. Trying again.` : 'Asking rproxy…');
    }
    current.update();
    banners.update(bannersFor(state));
    showConnection(state);
    document.body.classList.toggle('stale', state.connection === 'stale' && loaded);
}

const CONNECTION = {loading: 'Loading', live: 'Live', stale: 'Not connected', paused: 'Paused'};

function showConnection({connection, status}) {
    const node = document.getElementById('connection');
    setAttribute(node, 'data-state', connection);
    setText(node, CONNECTION[connection]);
    setText(document.getElementById('summary'), status
        ? `${status.version} · up ${duration(store.now() - status.started)} · ` +
          `${status.workers} worker${status.workers === 1 ? '' : 's'} · ` +
          `${status.draining ? 'draining' : status.ready ? 'ready' : 'not ready'}` : '');
}

function setUpPause() {
    const button = document.getElementById('pause');
    button.addEventListener('click', () => {
        store.setPaused(!store.paused);
        setAttribute(button, 'aria-pressed', String(store.paused));
        setText(button, store.paused ? 'Resume' : 'Pause');
        announce(store.paused ? 'Updates are paused.' : 'Updates go on.');
    });
}

function setUpTheme() {
    const button = document.getElementById('theme');
    const themes = ['auto', 'light', 'dark'];
    const root = document.documentElement;
    const label = () => setText(button, `Theme: ${root.dataset.theme ?? 'auto'}`);
    button.addEventListener('click', () => {
        const next = themes[(themes.indexOf(root.dataset.theme ?? 'auto') + 1) % themes.length];
        if (next === 'auto') {
            delete root.dataset.theme;
        } else {
            root.dataset.theme = next;
        }
        try {
            localStorage.setItem('rproxy.theme', next);
        } catch {
            // It lasts as long as the page, then.
        }
        label();
    });
    label();
}

// The link's own way would take the place of the screen's name in the address.
document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault();
    main.focus();
});
setUpPause();
setUpTheme();
window.addEventListener('hashchange', () => show(true));
store.subscribe(update);
show(false);
store.start();

# Included by pkg/admin/CMakeLists.txt: sets CONSOLE_ASSETS to the generated source.
include(EmbedAssets)
rproxy_embed_assets(CONSOLE_ASSETS
    FOLDER ${CMAKE_CURRENT_LIST_DIR}
    FILES index.html console.css favicon.svg theme.js main.js api.js store.js dom.js format.js
          spark.js table.js diff.js yaml_edit.js draft.js draft_panel.js banners.js
          dashboard.js servers.js configuration.js server_log.js requests_panel.js)

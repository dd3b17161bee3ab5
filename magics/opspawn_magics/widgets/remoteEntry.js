// A prebuilt JupyterLab extension without a build step. JupyterLab loads this script, calls
// init() with what it shares and then get("./extension"): the container contract of module
// federation. The rest are plain ES modules beside this file.
(() => {
  /** @typedef {Record<string, Record<string, { get: () => Promise<() => any> }>>} Shared  packages by name and version */
  const here = /** @type {HTMLScriptElement} */ (document.currentScript).src.replace(/[^/]*$/, "");
  /** @type {Shared} */
  let shared;

  /** The host's own copy of a package: the newest, loaded when asked for; null where it has none.
   * @param {string} name */
  async function hosts(name) {
    const versions = shared[name];
    if (!versions) return null;
    const [newest] = Object.keys(versions).sort((a, b) => b.localeCompare(a, undefined, { numeric: true }));
    return (await versions[newest].get())();
  }

  const page = /** @type {Window & { _JUPYTERLAB?: Record<string, unknown> }} */ (window);
  const containers = (page._JUPYTERLAB ??= {});
  containers["opspawn-jupyter"] = {
    /** @param {Shared} scope */
    init(scope) {
      shared = scope;
    },
    /** @param {string} name */
    async get(name) {
      if (name === "./style") {
        const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: `${here}panel.css` });
        document.head.append(link);
        return () => ({});
      }
      const { needed, makePlugins } = await import(`${here}plugin.js`);
      const packages = await Promise.all(needed.map(hosts));
      const byName = Object.fromEntries(needed.map((/** @type {string} */ name, /** @type {number} */ place) => [name, packages[place]]));
      const plugins = makePlugins(byName);
      return () => ({ __esModule: true, default: plugins });
    },
  };
})();

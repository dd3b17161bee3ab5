// A prebuilt JupyterLab extension without a build step. JupyterLab loads this script, calls
// init() with what it shares and then get("./extension"): the container contract of module
// federation. The rest are plain ES modules beside this file.
(() => {
  const here = document.currentScript.src.replace(/[^/]*$/, "");
  let shared;

  // The host's own copy of a package: the newest, loaded when asked for; null where it has none.
  async function hosts(name) {
    const versions = shared[name];
    if (!versions) return null;
    const newest = Object.keys(versions).sort((a, b) => a.localeCompare(b, undefined, { numeric: true })).pop();
    return (await versions[newest].get())();
  }

  const containers = (window._JUPYTERLAB ??= {});
  containers["opspawn-jupyter"] = {
    init(scope) {
      shared = scope;
    },
    async get(name) {
      if (name === "./style") {
        const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: `${here}panel.css` });
        document.head.append(link);
        return () => ({});
      }
      const { needed, makePlugins } = await import(`${here}plugin.js`);
      const packages = await Promise.all(needed.map(hosts));
      const byName = Object.fromEntries(needed.map((name, place) => [name, packages[place]]));
      const plugins = makePlugins(byName);
      return () => ({ __esModule: true, default: plugins });
    },
  };
})();

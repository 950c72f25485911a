// test.http is written for VS Code's REST Client, which knows a response as `start.response`; httpyac, as `start`.
exports.configureHooks = (api) => {
  api.hooks.onResponse.addHook("restClientNames", async (response, context) => {
    const { parsedBody: body, headers } = response;
    const { name } = context.httpRegion.metaData;
    api.utils.setVariableInContext({ [name]: { response: { body, headers } } }, context);
  });
};

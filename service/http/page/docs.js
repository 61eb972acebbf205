// Swagger UI over the service's own OpenAPI document.

SwaggerUIBundle({
  url: "openapi.json",
  domNode: document.getElementById("routes"),
  deepLinking: true,
  validatorUrl: null, // nothing is asked of elsewhere
  presets: [SwaggerUIBundle.presets.apis],
  syntaxHighlight: false, // it colours large answers for seconds
});

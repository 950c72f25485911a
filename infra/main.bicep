targetScope = 'subscription'

@minLength(1)
@maxLength(64)
@description('Name of the azd environment. The resources are named after it.')
param environmentName string

@minLength(1)
@description('Azure region, one that offers Flex Consumption.')
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@secure()
@minLength(1)
@description('SID of the Twilio account, "AC...".')
param twilioAccountSid string

@secure()
@minLength(1)
@description('Auth token of the Twilio account.')
param twilioAuthToken string

@secure()
@minLength(1)
@description('Number that alerts come from: one of the Twilio account, E.164.')
param twilioPhoneNumber string

@secure()
@description('Token that reads issues. Without one GitHub allows 60 requests an hour.')
param githubToken string = ''

@minLength(1)
@description('Numbers that may be texted: a comma list of E.164 numbers or prefixes ending in "*". "*" alone allows all.')
param allowedPhoneNumbers string

@minValue(1)
@maxValue(1000)
@description('Most instances that the app scales out to.')
param maximumInstanceCount int = 40

@allowed([
  512
  2048
  4096
])
@description('Memory of an instance in MB. Its processor grows with it.')
param instanceMemoryMB int = 2048

@minValue(0)
@description('Instances kept running for the durable functions. 0 costs nothing while idle and starts cold.')
param durableAlwaysReady int = 1

var tags = {
  'azd-env-name': environmentName
}

resource rg 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module app 'app.bicep' = {
  name: 'app'
  scope: rg
  params: {
    token: toLower(uniqueString(subscription().id, environmentName, location))
    location: location
    tags: tags
    twilioAccountSid: twilioAccountSid
    twilioAuthToken: twilioAuthToken
    twilioPhoneNumber: twilioPhoneNumber
    githubToken: githubToken
    allowedPhoneNumbers: allowedPhoneNumbers
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    durableAlwaysReady: durableAlwaysReady
  }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = rg.name
output AZURE_FUNCTION_NAME string = app.outputs.functionAppName
